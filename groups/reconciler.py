"""Brings Redis back in line with Postgres: seats that ended, and seats nobody ever recorded."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import asyncpg

from groups.errors import Overloaded
from groups.keys import Lane
from groups.lane_store import Confirmations, LaneCold, LaneStore
from groups.leaders import pass_lead
from groups.listeners import Listeners
from groups.neighbours import Neighbourhood
from groups.setbacks import STORE_AWAY, Setbacks
from sql import load_queries
from sql.retry import retry_serialization

LANES = load_queries("groups.queries", "lanes")
LIFECYCLE = load_queries("groups.queries", "lifecycle")
PLACEMENTS = load_queries("groups.queries", "placements")
# Longer than any batch takes, so that only seats whose process died or gave up are looked at.
ORPHAN_AGE_MS = 10_000
# A release that no warm lane took for this long is older than any rebuild that could have missed it.
RELEASE_OUTLIVED_MS = 60_000
# Until a lane that was cold or did not answer is told again.
RELEASE_RETRY_MS = 2_000
LANES_PER_PAGE = 500
LANES_AT_ONCE_MAX = 16
PAGES_MAX = 10_000

_log = logging.getLogger("groups.reconciler")


class Reconciler:
    """Sweeps that mend after a crash. Every step may be repeated and run in many processes at once."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        store: LaneStore,
        listeners: Listeners,
        *,
        orphan_age_ms: int = ORPHAN_AGE_MS,
    ) -> None:
        self._pool = pool
        self._store = store
        self._orphan_age_ms = orphan_age_ms
        self._listeners = listeners
        self._neighbourhood = Neighbourhood(pool, store, listeners.on_neighbours)
        self._seat_setbacks = Setbacks(pool, "seats")
        self._lane_setbacks = Setbacks(pool, "orphans")
        self._key_setbacks = Setbacks(pool, "keys")

    async def apply_seat_releases(self, limit: int) -> int:
        """Tells Redis of up to `limit` seats that were freed or retired; returns how many are done."""
        due = await self._pool.fetch(LIFECYCLE["due_seat_releases"], limit)
        return await self._seat_setbacks.each([row["order_id"] for row in due], self.release_seats)

    async def release_seats_of(self, order_ids: Sequence[str]) -> int:
        """Tells Redis of those seats of these orders whose release is due; returns how many are done."""
        return await self._seat_setbacks.each(order_ids, self.release_seats)

    async def release_seats(self, order_ids: Sequence[str]) -> int:
        """Tells Redis of those seats whose release is due; returns how many are done."""
        return await retry_serialization(functools.partial(self._release_seats, order_ids))

    async def _release_seats(self, order_ids: Sequence[str]) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(LIFECYCLE["take_seat_releases"], order_ids, RELEASE_OUTLIVED_MS)
            done = [row["order_id"] for row in rows if row["epoch"] is None]
            given_up: set[Lane] = set()
            for (deal_id, lane_no), lane_rows in groupby(
                [row for row in rows if row["epoch"] is not None],
                key=lambda row: (row["deal_id"], row["lane_no"]),
            ):
                done += await self._release(Lane(deal_id, lane_no), list(lane_rows), given_up)
            await connection.execute(LIFECYCLE["drop_seat_releases"], done)
            kept = sorted({row["order_id"] for row in rows}.difference(done))
            await connection.execute(LIFECYCLE["defer_seat_releases"], kept, RELEASE_RETRY_MS)
            await pass_lead(connection, [row["order_id"] for row in rows], [])
            # A lane that was cold may be made warm again as it was, which must not happen any more.
            for lane in sorted(given_up):
                await connection.execute(LANES["raise_epoch"], lane.deal_id, lane.lane_no, 0)
        return len(done)

    async def _release(self, lane: Lane, rows: list[asyncpg.Record], given_up: set[Lane]) -> list[str]:
        """Returns the orders whose release is done; a lane that was not told of them joins `given_up`."""
        items = [
            ("retire" if row["retired"] else "free", row["order_id"], row["request_id"].hex()) for row in rows
        ]
        # A worker that died between closing a group and telling its lane left the telling to this.
        closed = {
            row["closed_group_id"]: "full" if row["filled"] else "closed"
            for row in rows
            if row["closed_group_id"] is not None
        }
        try:
            if closed:
                await self._store.close_groups(lane, rows[0]["epoch"], list(closed.items()))
            await self._store.leave(lane, rows[0]["epoch"], items)
        except LaneCold:
            # A rebuild that read before these orders ended may still be on its way; it will not be for ever.
            outlived = [row["order_id"] for row in rows if row["outlived"]]
            if outlived:
                given_up.add(lane)
            return outlived
        except Overloaded as error:
            _log.warning("lane %s keeps %d releases for later: %s", lane, len(rows), error)
            return []
        return [row["order_id"] for row in rows]

    async def reconcile_orphans(self) -> int:
        """Frees seats that were placed and never recorded, in every watched lane; returns how many.

        Before that, where Postgres has gone back to an earlier state, Redis forgets the later one.
        """
        await self._neighbourhood.follow()
        freed, after = 0, ("", -1)
        slots = asyncio.Semaphore(LANES_AT_ONCE_MAX)

        async def visit(row: asyncpg.Record) -> int | Exception:
            async with slots:
                try:
                    return await self.reconcile_lane(Lane(row["deal_id"], row["lane_no"]), row["epoch"])
                except STORE_AWAY:
                    raise
                except Exception as error:  # noqa: BLE001 - it is noted, and the other lanes go on.
                    return error

        for _ in range(PAGES_MAX):
            rows = await self._pool.fetch(LANES["lanes_to_reconcile"], *after, LANES_PER_PAGE)
            outcomes = await asyncio.gather(*(visit(row) for row in rows))
            freed += sum(outcome for outcome in outcomes if isinstance(outcome, int))
            await self._lane_setbacks.note(
                {
                    f"{row['deal_id']}:{row['lane_no']}": outcome
                    for row, outcome in zip(rows, outcomes, strict=True)
                    if isinstance(outcome, Exception)
                }
            )
            if len(rows) < LANES_PER_PAGE:
                break
            after = (rows[-1]["deal_id"], rows[-1]["lane_no"])
        if freed:
            self._listeners.on_orphans(freed)
        return freed

    async def reconcile_lanes(self, lanes: Sequence[str]) -> int:
        """Does so in each of the lanes, named `deal:number`; returns how many seats it freed."""
        freed = 0
        for name in lanes:
            deal_id, _, lane_no = name.rpartition(":")
            epoch = await self._pool.fetchval(LANES["lane_epoch"], deal_id, int(lane_no))
            if epoch is not None:
                freed += await self.reconcile_lane(Lane(deal_id, int(lane_no)), epoch)
        return freed

    async def reconcile_lane(self, lane: Lane, epoch: int) -> int:
        """Confirms the lane's recorded orphans; the others get a tombstone and then leave."""
        try:
            orphans = await self._store.orphans(lane, epoch, age_ms=self._orphan_age_ms)
            if not orphans:
                return 0
            rows = await self._verdicts(orphans)
            recorded = {row["order_id"] for row in rows if row["recorded"]}
            await self._store.confirm(lane, epoch, Confirmations(order_ids=sorted(recorded)))
            # An orphan may be a second seat of a request that another order was recorded for.
            known = [
                (row["request_id"], row["recorded_order_id"], row["recorded_ms_ago"])
                for row in rows
                if row["recorded_order_id"] not in (None, row["order_id"])
            ]
            if known:
                await self._store.remember_known(lane, known)
            abandoned = [orphan for orphan in orphans if orphan[0] not in recorded]
            if abandoned:
                await self._store.leave(
                    lane, epoch, [("abandon", order_id, request_id) for order_id, request_id, _ in abandoned]
                )
        except LaneCold:
            return 0
        except Overloaded as error:
            _log.warning("lane %s could not be reconciled: %s", lane, error)
            return 0
        # A group whose founder was never recorded may have been recorded by somebody who joined it.
        led = [(order_id, group_id) for order_id, _, group_id in abandoned if group_id]
        if led:
            await retry_serialization(functools.partial(self._pass_lead_of_abandoned, led))
        return len(abandoned)

    async def _pass_lead_of_abandoned(self, led: list[tuple[str, str]]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await pass_lead(connection, [order_id for order_id, _ in led], [group_id for _, group_id in led])

    async def _verdicts(self, orphans: list[tuple[str, str, str]]) -> list[asyncpg.Record]:
        """Writes the tombstones, and only then looks which orders were recorded after all."""
        columns: tuple[list[Any], list[Any]] = (
            [bytes.fromhex(request_id) for _, request_id, _ in orphans],
            [order_id for order_id, _, _ in orphans],
        )
        await self._pool.execute(PLACEMENTS["abandon_requests"], *columns)
        return await self._pool.fetch(PLACEMENTS["orphan_verdicts"], *columns)

    async def purge_expired_keys(self, limit: int) -> int:
        """Forgets up to `limit` requests that are no longer promised to be remembered; returns how many."""
        due = await self._pool.fetch(PLACEMENTS["expired_keys"], self._store.request_ttl_ms, limit)
        return await self._key_setbacks.each([row["request_id"] for row in due], self.purge_keys)

    async def purge_keys(self, request_ids: Sequence[str]) -> int:
        """Forgets those requests, named in hexadecimal digits, whose time is over; returns how many."""
        status = await self._pool.execute(PLACEMENTS["purge_keys"], self._store.request_ttl_ms, request_ids)
        return int(status.split()[-1])
