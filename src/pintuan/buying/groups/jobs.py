"""The jobs of groups: their engine's work when time has passed, and nobody calls."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol, Self

from groups.setbacks import SecondTries, count_setbacks
from groups.sweeps import next_group_check_ms
from pintuan.base.events.jobs import SOON_S
from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.jobs.passes import until_nothing_left
from pintuan.base.telemetry.metrics import show_setbacks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import asyncpg

    from groups.setbacks import Work
    from pintuan.base.jobs.job import Asks
    from pintuan.base.process import Resources

GROUPS_PER_ROUND: Final = 200
ORDERS_PER_ROUND: Final = 500
SEATS_PER_ROUND: Final = 500
KEYS_PER_ROUND: Final = 10_000
SECOND_TRIES_PER_PASS: Final = 64
# Sweeps come every second, so nothing further away needs a timer.
LOOK_AHEAD_MS: Final = 1_000


class Engine(Protocol):
    """The part of the group engine that jobs need; each method returns how many rows it handled."""

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
        """Second tries of rows that one of these failed on."""
        ...


class Jobs(NounJobs):
    """Groups close and settle, holds run out, seats are freed, and rows that failed are tried again."""

    def __init__(self, pool: asyncpg.Pool, engine: Engine, asks: Asks) -> None:
        self._pool = pool
        self._engine = engine
        self._tries = SecondTries(pool, asks.second_tries)
        self._ask_for_groups = asks.asker("lifecycle")
        self._ask_for_seats = asks.asker("seats")
        self._ask_for_payments = asks.asker("payments")
        self._ask_for_events = asks.asker("events")

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:
        """Opens them for the life of the block."""
        yield cls(process.pool, process.engine, asks)

    def second_tries(self) -> Mapping[str, Work]:
        """Returns those of the engine."""
        return self._engine.second_tries()

    @job("lifecycle", every_s=1, has_doorbell=True)
    async def advance_groups(self) -> None:
        """Moves groups whose time has come."""
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
                self._ask_for_seats()
                self._ask_for_events.after(SOON_S)
        wait_ms = await next_group_check_ms(self._pool, within_ms=LOOK_AHEAD_MS)
        if wait_ms is not None:
            self._ask_for_groups.after(wait_ms / 1000)

    @job("expiry", every_s=1)
    async def expire_unpaid(self) -> None:
        """Ends orders that were not paid in time."""
        if await until_nothing_left(self._engine.expire_unpaid, ORDERS_PER_ROUND):
            self._ask_for_groups()
            self._ask_for_seats()

    @job("seats", every_s=1, has_doorbell=True)
    async def release_seats(self) -> None:
        """Tells Redis of seats that ended."""
        await until_nothing_left(self._engine.apply_seat_releases, SEATS_PER_ROUND)

    @job("stock", every_s=1, one_for_all=True)
    async def even_out_stock(self) -> None:
        """Moves units to lanes that run low."""
        await self._engine.even_out_stock()

    @job("orphans", every_s=5, one_for_all=True)
    async def reconcile_orphans(self) -> None:
        """Frees seats in Redis that nobody recorded."""
        await self._engine.reconcile_orphans()

    # Each minute, because a pass is bounded, and to forget a busy hour takes more than one.
    @job("keys", every_s=60, one_for_all=True)
    async def purge_keys(self) -> None:
        """Forgets requests and noted rows that need not be remembered."""
        await until_nothing_left(self._engine.purge_expired_keys, KEYS_PER_ROUND)
        await until_nothing_left(self._tries.forget_stale, KEYS_PER_ROUND)

    @job("setbacks", every_s=1)
    async def try_again(self) -> None:
        """Tries rows again that a sweep of any noun failed on."""
        await self._tries.look(SECOND_TRIES_PER_PASS)

    @job("setback samples", every_s=5)
    async def count_setbacks(self) -> None:
        """Shows how many rows sweeps failed on."""
        show_setbacks(await count_setbacks(self._pool))
