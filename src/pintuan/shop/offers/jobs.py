"""The job of offers: taking away versions that nobody ordered under."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.jobs.passes import until_nothing_left
from pintuan.shop.offers.store import drop_spare_offers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from pintuan.base.jobs.job import Asks
    from pintuan.base.process import Resources

OFFERS_PER_ROUND: Final = 1_000


class Jobs(NounJobs):
    """Versions are kept for their orders, and no longer than a few minutes where there are none."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:  # noqa: ARG003
        """Opens them for the life of the block."""
        yield cls(process.pool)

    # A merchant may make versions faster than a pass a minute would take them away.
    @job("offer tidying", every_s=5, one_for_all=True)
    async def tidy(self) -> None:
        """Takes away versions that were replaced a while ago and have no order."""
        await until_nothing_left(partial(drop_spare_offers, self._pool), OFFERS_PER_ROUND)
