"""The job of consents: keeping digests of who wants no messages under the current key."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.jobs.passes import until_nothing_left
from pintuan.people.consents.service import reseal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from pintuan.base.jobs.job import Asks
    from pintuan.base.keyring import Keyring
    from pintuan.base.process import Resources

UNSUBSCRIBES_PER_ROUND: Final = 100


class Jobs(NounJobs):
    """A former key may be dropped once nothing was made with it."""

    def __init__(self, pool: asyncpg.Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:  # noqa: ARG003
        """Opens them for the life of the block."""
        yield cls(process.pool, process.keyring)

    @job("consent tidying", every_s=60, one_for_all=True)
    async def tidy(self) -> None:
        """Renews what was made with a former key."""
        await until_nothing_left(partial(reseal, self._pool, self._keyring), UNSUBSCRIBES_PER_ROUND)
