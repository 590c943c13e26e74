"""The job of nudges: telling members of groups what is due."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self

from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.jobs.passes import until_nothing_left
from pintuan.people.notifications.post import post_of
from pintuan.reach.nudges.service import Nudger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from groups.setbacks import Work
    from pintuan.base.jobs.job import Asks
    from pintuan.base.process import Resources

NUDGES_PER_ROUND: Final = 20


class Jobs(NounJobs):
    """Members are told when their moment has come, and their messages are asked for."""

    def __init__(self, nudger: Nudger, asks: Asks) -> None:
        self._nudger = nudger
        self._ask_for_messages = asks.asker("notifications")

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:
        """Opens them for the life of the block."""
        post = post_of(process.settings, process.keyring)
        yield cls(Nudger(process.pool, post, share_base=process.settings.share_base), asks)

    def second_tries(self) -> Mapping[str, Work]:
        """Returns those of the nudger."""
        return self._nudger.second_tries()

    @job("nudges", every_s=1)
    async def tell(self) -> None:
        """Writes messages of nudges that are due."""
        if await until_nothing_left(self._nudger.tell_due, NUDGES_PER_ROUND):
            self._ask_for_messages()
