"""The jobs: what each doorbell and each sweep makes a worker do.

Work of one kind often makes work of another: a recorded payment may fill a group, a settled group has
captures to make, an ended order has a seat to free. The next kind is then asked for in this very process,
without a way through the queue.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from groups.setbacks import SecondTries, count_setbacks
from groups.sweeps import next_group_check_ms
from pintuan.base.jobs.failures import report_failure
from pintuan.base.jobs.passes import Passes, until_nothing_left
from pintuan.base.telemetry.metrics import note_sweep, show_setbacks
from pintuan.buying.archive.service import Archivist
from pintuan.money.gateway_events.store import purge
from pintuan.money.payments.operations import CALLS_IN_FLIGHT_MAX, PaymentExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import asyncpg

    from groups.setbacks import Work
    from pintuan.money.payments.gateway import Gateway
    from pintuan.money.payments.recording import Recorded

GROUPS_PER_ROUND: Final = 200
ORDERS_PER_ROUND: Final = 500
SEATS_PER_ROUND: Final = 500
KEYS_PER_ROUND: Final = 10_000
ARCHIVED_PER_ROUND: Final = 1_000
SECOND_TRIES_PER_PASS: Final = 64
# A drain bounds itself far below; one that hangs is given up, and its leases run out.
DRAIN_GIVEN_UP_S: Final = 60
# A gateway repeats an event for days; with room for an operator who looks back at what happened.
EVENT_AGE_MS: Final = 30 * 24 * 3_600_000
# Sweeps come every second, so nothing further away needs a timer.
LOOK_AHEAD_MS: Final = 1_000


class Engine(Protocol):
    """What the jobs need of the group engine; each method returns how many rows it handled."""

    async def advance_due_groups(self, limit: int) -> int:
        """Advances groups whose time has come."""
        ...

    async def expire_unpaid(self, limit: int) -> int:
        """Expires orders whose hold ran out."""
        ...

    async def apply_seat_releases(self, limit: int) -> int:
        """Tells Redis of seats that ended."""
        ...

    async def reconcile_orphans(self) -> int:
        """Frees seats in Redis that nobody recorded."""
        ...

    async def even_out_stock(self) -> int:
        """Moves units to lanes that run low."""
        ...

    async def purge_expired_keys(self, limit: int) -> int:
        """Forgets requests that need not be remembered."""
        ...

    def second_tries(self) -> Mapping[str, Work]:
        """How rows are tried again that one of these failed on."""
        ...


@dataclass(frozen=True, slots=True)
class Stores:
    """What the jobs work on; `tell_changed` is told which groups recorded payments changed.

    The gateway gets at most `calls_in_flight_max` calls of this process at once. Orders are archived
    `archive_after_ms` after they ended; None stands for never.
    """

    pool: asyncpg.Pool
    engine: Engine
    gateway: Gateway
    tell_changed: Callable[[Iterable[str]], None]
    calls_in_flight_max: int = CALLS_IN_FLIGHT_MAX
    archive_after_ms: int | None = None


class Jobs:
    """The work of one process, each kind in passes that do not overlap."""

    def __init__(self, stores: Stores) -> None:
        self._pool = stores.pool
        self._engine = stores.engine
        self._tell_changed = stores.tell_changed
        self._archivist: Archivist | None = None
        if stores.archive_after_ms is not None:
            self._archivist = Archivist(stores.pool, age_ms=stores.archive_after_ms)
        self._executor = PaymentExecutor(
            stores.pool,
            stores.gateway,
            on_recorded=self._payments_recorded,
            calls_in_flight_max=stores.calls_in_flight_max,
            on_look=partial(note_sweep, "payments"),
        )
        self.lifecycle = Passes("lifecycle", self._advance_groups)
        self.expiry = Passes("expiry", self._expire_unpaid)
        self.seats = Passes("seats", self._apply_seat_releases)
        self.orphans = Passes("orphans", self._reconcile_orphans)
        self.stock = Passes("stock", self._even_out_stock)
        self.keys = Passes("keys", self._purge_keys)
        self.archive = Passes("archive", self._archive)
        self.setbacks = Passes("setbacks", self._try_again)
        self.second_tries = SecondTries(stores.pool, stores.engine.second_tries())
        if self._archivist is not None:
            self.second_tries.add(self._archivist.second_tries())
        self._drains: set[asyncio.Task[None]] = set()

    async def drain_payments(self) -> None:
        """Carries out payment operations that are due."""
        async with asyncio.timeout(DRAIN_GIVEN_UP_S):
            await self._executor.drain()

    async def sample_payments(self) -> None:
        """Shows how many payment operations have not ended, and how many rows sweeps failed on."""
        await self._executor.sample()
        show_setbacks(await count_setbacks(self._pool))

    def stop(self) -> None:
        """Takes no more payments; those on their way are still recorded."""
        self._executor.stop()

    async def close(self) -> None:
        """Waits for what is under way in the background; the stores may be closed afterwards."""
        self.stop()
        if self._drains:
            await asyncio.wait(self._drains)
        for passes in (
            self.lifecycle,
            self.expiry,
            self.seats,
            self.orphans,
            self.stock,
            self.keys,
            self.archive,
            self.setbacks,
        ):
            await passes.close()

    def _payments_recorded(self, recorded: Recorded) -> None:
        self._tell_changed(recorded.groups)
        if recorded.operations:
            self.lifecycle.ask()
        if recorded.seats_ended:
            self.seats.ask()

    async def _advance_groups(self) -> None:
        advanced = 0
        try:
            advanced = await until_nothing_left(self._engine.advance_due_groups, GROUPS_PER_ROUND)
        except Exception:
            # A store went away midway, and groups before that may well have payments to make now.
            advanced = 1
            raise
        finally:
            if advanced:
                self._ask_for_payments()
                self.seats.ask()
        wait_ms = await next_group_check_ms(self._pool, within_ms=LOOK_AHEAD_MS)
        if wait_ms is not None:
            self.lifecycle.ask_in(wait_ms / 1000)

    def _ask_for_payments(self) -> None:
        # The executor itself merges drains. Passes would not do: a drain may wait for one slow call, and new
        # work must not wait with it.
        task = asyncio.create_task(self._drain_guarded(), name="payments after groups")
        self._drains.add(task)
        task.add_done_callback(self._drains.discard)

    async def _drain_guarded(self) -> None:
        try:
            await self.drain_payments()
        except Exception as error:  # noqa: BLE001 - nobody awaits a drain in the background, so it ends here.
            report_failure("payments", error)

    async def _expire_unpaid(self) -> None:
        if await until_nothing_left(self._engine.expire_unpaid, ORDERS_PER_ROUND):
            self.lifecycle.ask()
            self.seats.ask()

    async def _apply_seat_releases(self) -> None:
        await until_nothing_left(self._engine.apply_seat_releases, SEATS_PER_ROUND)

    async def _reconcile_orphans(self) -> None:
        await self._engine.reconcile_orphans()

    async def _even_out_stock(self) -> None:
        await self._engine.even_out_stock()

    async def _try_again(self) -> None:
        await self.second_tries.look(SECOND_TRIES_PER_PASS)

    async def _purge_keys(self) -> None:
        await until_nothing_left(self._engine.purge_expired_keys, KEYS_PER_ROUND)
        await until_nothing_left(self.second_tries.forget_stale, KEYS_PER_ROUND)
        await until_nothing_left(self._purge_gateway_events, KEYS_PER_ROUND)

    async def _archive(self) -> None:
        if self._archivist is not None and await self._archivist.may_begin():
            await until_nothing_left(self._archivist.archive_groups, ARCHIVED_PER_ROUND)
            await until_nothing_left(self._archivist.archive_solo_orders, ARCHIVED_PER_ROUND)
            await until_nothing_left(self._archivist.forget_limits, ARCHIVED_PER_ROUND)

    async def _purge_gateway_events(self, limit: int) -> int:
        return await purge(self._pool, age_ms=EVENT_AGE_MS, limit=limit)
