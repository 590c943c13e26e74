"""The job of gateway events: forgetting old ones."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self

from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.jobs.passes import until_nothing_left
from pintuan.money.gateway_events.store import purge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from pintuan.base.jobs.job import Asks
    from pintuan.base.process import Resources

EVENTS_PER_ROUND: Final = 10_000
# A gateway repeats an event for days; with room for an operator who looks back at what happened.
EVENT_AGE_MS: Final = 30 * 24 * 3_600_000


class Jobs(NounJobs):
    """Events are forgotten once no gateway repeats them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:  # noqa: ARG003
        """Opens them for the life of the block."""
        yield cls(process.pool)

    @job("gateway event tidying", every_s=60, one_for_all=True)
    async def tidy(self) -> None:
        """Forgets old events."""
        await until_nothing_left(self._purge, EVENTS_PER_ROUND)

    async def _purge(self, limit: int) -> int:
        return await purge(self._pool, age_ms=EVENT_AGE_MS, limit=limit)
