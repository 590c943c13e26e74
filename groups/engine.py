"""The group engine's front door: one object per process, used by the API and by the workers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from groups.cancellation import Cancellation, cancel_order
from groups.combiner import OnOutcome
from groups.desk import PlacementDesk
from groups.errors import GroupsError
from groups.forgetting import Forgetting
from groups.lane_store import LaneStore, RateLimits
from groups.lifecycle import Lifecycle
from groups.listeners import Listeners
from groups.listing import GroupList, Listed, Place
from groups.placement import Placement, Recorded
from groups.rebuild import Rebuilder
from groups.reconciler import Reconciler
from groups.setbacks import Work
from groups.stock import StockMover
from sql import Connection

# A recorded key answers its order for this long.
REQUEST_TTL_MS = 24 * 3_600_000
# A cancelled seat is freed before its buyer is answered, and with it what else waits.
RELEASES_AT_ONCE_MAX = 100
# An unpaid seat is kept for this long.
HOLD_MS = 60_000

_log = logging.getLogger("groups.engine")


class GroupEngine:
    """Places, cancels, closes and settles. Built by `open_engine`."""

    def __init__(
        self,
        desk: PlacementDesk,
        lifecycle: Lifecycle,
        reconciler: Reconciler,
        listing: GroupList,
        stock: StockMover,
        forgetting: Forgetting,
        pool: asyncpg.Pool,
        listeners: Listeners,
    ) -> None:
        self._desk = desk
        self._lifecycle = lifecycle
        self._reconciler = reconciler
        self._listing = listing
        self._stock = stock
        self._forgetting = forgetting
        self._pool = pool
        self._listeners = listeners

    async def place(self, placement: Placement) -> Recorded:
        """Places one buyer; see `PlacementDesk.place`."""
        return await self._desk.place(placement)

    def submit(self, placement: Placement, tell: OnOutcome) -> bool:
        """Queues a placement without waiting, if that can be done; see `PlacementDesk.submit`."""
        return self._desk.submit(placement, tell)

    def is_last_word(self, placement: Placement, refusal: GroupsError) -> bool:
        """Says whether a refusal told to `submit`'s caller is final; see `PlacementDesk.is_last_word`."""
        return self._desk.is_last_word(placement, refusal)

    async def cancel(self, cancellation: Cancellation) -> str:
        """Cancels an order and frees its seat for the next buyer; see `cancel_order`."""
        group_id = await cancel_order(self._pool, cancellation)
        if group_id is not None:
            self._listeners.on_changed([group_id])
        try:
            await self._reconciler.apply_seat_releases(RELEASES_AT_ONCE_MAX)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            # The order is still cancelled, and the workers free its seat.
            _log.warning("the seat of %s is freed later: %r", cancellation.order_id, error)
        return cancellation.order_id

    async def deal_changed(self, deal_id: str) -> None:
        """Brings Redis up to a deal's changed terms, in every process at once; see `PlacementDesk`.

        Call it after the change committed with its lanes' epochs raised. It only saves time: otherwise lanes
        learn of the change from the next seat they record or, within milliseconds, from the next refusal.
        """
        await self._desk.deal_changed(deal_id)

    async def release_seats_of(self, order_ids: Sequence[str]) -> int:
        """Tells Redis of seats of these orders that ended; see `Reconciler.apply_seat_releases`."""
        return await self._reconciler.release_seats_of(order_ids)

    async def forget_buyer(self, connection: Connection, buyer_id: str) -> int:
        """Takes a buyer out of lanes whose orders have an alias; see `Forgetting.tell_lanes`."""
        return await self._forgetting.tell_lanes(connection, buyer_id)

    async def joinable_groups(self, deal_id: str, *, after: Place | None, count: int) -> Listed:
        """Lists groups one can join, fullest first; see `GroupList.joinable`."""
        return await self._listing.joinable(deal_id, after=after, count=count)

    async def advance_due_groups(self, limit: int) -> int:
        """Advances groups that are due; see `Lifecycle.advance_due`."""
        return await self._lifecycle.advance_due(limit)

    async def expire_unpaid(self, limit: int) -> int:
        """Expires orders that were not paid in time; see `Lifecycle.expire_unpaid`."""
        return await self._lifecycle.expire_unpaid(limit)

    async def apply_seat_releases(self, limit: int) -> int:
        """Tells Redis of seats that ended; see `Reconciler.apply_seat_releases`."""
        return await self._reconciler.apply_seat_releases(limit)

    async def reconcile_orphans(self) -> int:
        """Frees seats nobody recorded; see `Reconciler.reconcile_orphans`."""
        return await self._reconciler.reconcile_orphans()

    async def even_out_stock(self) -> int:
        """Moves units to lanes that run low; see `StockMover.even_out`."""
        return await self._stock.even_out()

    async def purge_expired_keys(self, limit: int) -> int:
        """Forgets requests older than a day; see `Reconciler.purge_expired_keys`."""
        return await self._reconciler.purge_expired_keys(limit)

    def second_tries(self) -> dict[str, Work]:
        """Returns how rows are tried again that a sweep of the engine failed on, by the sweeps' names."""
        return {
            "lifecycle": self._lifecycle.advance_all,
            "expiry": self._lifecycle.expire_orders,
            "seats": self._reconciler.release_seats,
            "orphans": self._reconciler.reconcile_lanes,
            "stock": self._stock.even_out_deals,
            "keys": self._reconciler.purge_keys,
        }


@asynccontextmanager
async def open_engine(
    pool: asyncpg.Pool,
    redis_url: str,
    *,
    rates: RateLimits | None,
    sim_offset_ms: int = 0,
    listeners: Listeners | None = None,
    hold_ms: int = HOLD_MS,
    recording_pool: asyncpg.Pool | None = None,
    listing_pool: asyncpg.Pool | None = None,
) -> AsyncIterator[GroupEngine]:
    """Opens an engine for the life of the block; at its end every batch under way is let finish.

    `rates` of None turns rate limits off. Redis is connected at the first call. The statement that records
    joins has `recording_pool` to itself. Lists of groups are read from `listing_pool`. `pool` does
    everything else, and the work of a pool that is None.
    """
    listeners = listeners or Listeners()
    store = LaneStore(
        redis_url,
        rates=rates,
        sim_offset_ms=sim_offset_ms,
        request_ttl_ms=REQUEST_TTL_MS,
        tracer=listeners.tracer,
    )
    rebuilder = Rebuilder(pool, store, listeners)
    desk = PlacementDesk(
        pool, store, rebuilder, hold_ms=hold_ms, listeners=listeners, recording_pool=recording_pool
    )
    try:
        lifecycle = Lifecycle(pool, store, listeners, hold_ms=hold_ms)
        reconciler, listing = Reconciler(pool, store, listeners), GroupList(listing_pool or pool, store)
        stock = StockMover(pool, store)
        yield GroupEngine(desk, lifecycle, reconciler, listing, stock, Forgetting(store), pool, listeners)
    finally:
        await desk.close()
        await rebuilder.close()
        await store.close()
