"""The jobs of invites: letting go those that waited for their inviter's order, and forgetting recipients."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.jobs.passes import until_nothing_left
from pintuan.reach.invites.store import forget_recipients, settle, settle_waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import asyncpg

    from groups.setbacks import Work
    from pintuan.base.jobs.job import Asks
    from pintuan.base.process import Resources

INVITES_PER_ROUND: Final = 1_000


class Jobs(NounJobs):
    """Invitations leave once their inviter's order pays, and their recipients are forgotten in time."""

    def __init__(self, pool: asyncpg.Pool, asks: Asks) -> None:
        self._pool = pool
        self._ask_for_messages = asks.asker("notifications")

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:
        """Opens them for the life of the block."""
        yield cls(process.pool, asks)

    def second_tries(self) -> Mapping[str, Work]:
        """Returns how invitations are tried again that could not be settled."""
        return {"invites": partial(settle, self._pool)}

    @job("invites", every_s=1)
    async def settle(self) -> None:
        """Lets waiting invitations go, or forgets them, as their inviters' orders are now."""
        if await until_nothing_left(partial(settle_waiting, self._pool), INVITES_PER_ROUND):
            self._ask_for_messages()

    @job("invite tidying", every_s=60, one_for_all=True)
    async def tidy(self) -> None:
        """Forgets recipients whose time is over."""
        await until_nothing_left(partial(forget_recipients, self._pool), INVITES_PER_ROUND)
