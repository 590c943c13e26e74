"""The job of activity: forgetting from where people were active."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.jobs.passes import until_nothing_left
from pintuan.people.activity.store import forget_addresses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from pintuan.base.jobs.job import Asks
    from pintuan.base.process import Resources

ADDRESSES_PER_ROUND: Final = 1_000


class Jobs(NounJobs):
    """Addresses are forgotten after a while."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:  # noqa: ARG003
        """Opens them for the life of the block."""
        yield cls(process.pool)

    @job("activity tidying", every_s=60, one_for_all=True)
    async def tidy(self) -> None:
        """Forgets old addresses."""
        await until_nothing_left(partial(forget_addresses, self._pool), ADDRESSES_PER_ROUND)
