"""The job of forgetting people: carrying on erasures until nothing is left to do."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self

from pintuan.base.jobs.job import NounJobs, job
from pintuan.people.personal.erasures import Eraser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from groups.setbacks import Work
    from pintuan.base.jobs.job import Asks
    from pintuan.base.process import Resources

ERASURES_PER_ROUND: Final = 50


class Jobs(NounJobs):
    """Erased people are taken out of orders as these end."""

    def __init__(self, eraser: Eraser, asks: Asks) -> None:
        self._eraser = eraser
        self._ask_again = asks.asker("erasures")

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:
        """Opens them for the life of the block."""
        yield cls(Eraser(process.pool, process.engine, process.personal), asks)

    def second_tries(self) -> Mapping[str, Work]:
        """Returns those of the eraser."""
        return self._eraser.second_tries()

    @job("erasures", every_s=1)
    async def erase(self) -> None:
        """Carries on erasures that are due."""
        if await self._eraser.look(ERASURES_PER_ROUND):
            self._ask_again.after(0)
