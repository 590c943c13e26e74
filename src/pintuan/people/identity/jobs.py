"""The job of identity: forgetting codes, sessions and windows that are over."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self

from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.jobs.passes import until_nothing_left
from pintuan.people.identity.limits import CLIENT_KNOWN_MS
from pintuan.people.identity.store import purge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from pintuan.base.jobs.job import Asks
    from pintuan.base.process import Resources

ROWS_PER_ROUND: Final = 1_000
# The time for which an ended session is still on record.
SESSION_AGE_MS: Final = 24 * 3_600_000


class Jobs(NounJobs):
    """Old codes and ended sessions are forgotten."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:  # noqa: ARG003
        """Opens them for the life of the block."""
        yield cls(process.pool)

    @job("sign-in tidying", every_s=60, one_for_all=True)
    async def tidy(self) -> None:
        """Forgets what is over."""
        await until_nothing_left(self._purge, ROWS_PER_ROUND)

    async def _purge(self, limit: int) -> int:
        return await purge(self._pool, session_age_ms=SESSION_AGE_MS, known_ms=CLIENT_KNOWN_MS, limit=limit)
