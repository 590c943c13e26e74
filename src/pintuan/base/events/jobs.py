"""The job by which nouns hear of events."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from pintuan.base.events.hearing import Hearer
from pintuan.base.events.store import count_unheard
from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.jobs.passes import Passes, until_nothing_left
from pintuan.base.telemetry.metrics import show_unheard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import asyncpg

    from groups.setbacks import Work
    from pintuan.base.events.event import Reactions
    from pintuan.base.jobs.job import Ask, Asks
    from pintuan.base.process import Resources

EVENTS_PER_ROUND: Final = 1_000
# A worker that told events asks, this long after them, that they be heard. Under load another event comes
# sooner, which puts that off, and the sweep of each second hears a batch.
SOON_S: Final = 0.05


class EventJobs(NounJobs):
    """Nouns hear side by side, so that a slow one keeps no other waiting."""

    def __init__(self, pool: asyncpg.Pool, listeners: Mapping[str, Reactions], asks: Asks) -> None:
        self._pool = pool
        self._hearers = {noun: Hearer(pool, noun, reactions) for noun, reactions in listeners.items()}
        self._then = {
            noun: asks.asker(reactions.then)
            for noun, reactions in listeners.items()
            if reactions.then is not None
        }
        self._passes = [
            Passes(f"{noun} events", partial(self._hear, hearer, self._then.get(noun)))
            for noun, hearer in self._hearers.items()
        ]

    def second_tries(self) -> Mapping[str, Work]:
        """Returns how events are tried again, of each noun that failed on them."""
        return {
            name: work for hearer in self._hearers.values() for name, work in hearer.second_tries().items()
        }

    # Each noun's passes merge what is asked meanwhile. In common passes all would wait for the slowest.
    @job("events", every_s=1, in_passes=False)
    async def hear(self) -> None:
        """Lets each noun hear what it has yet to hear."""
        outcomes = await asyncio.gather(*(passes.run() for passes in self._passes), return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if failures:
            raise ExceptionGroup("nouns failed to hear of events", failures)

    @job("event samples", every_s=5)
    async def sample(self) -> None:
        """Shows how many events each noun has yet to hear, and for how long they have waited."""
        show_unheard(await count_unheard(self._pool))

    async def _hear(self, hearer: Hearer, then: Ask | None) -> None:
        if await until_nothing_left(hearer.hear, EVENTS_PER_ROUND) and then is not None:
            then()


def hearing(listeners: Mapping[str, Reactions]) -> type[NounJobs]:
    """Returns the jobs by which nouns hear, by the names that `listeners` has in Postgres."""

    class Hearing(EventJobs):
        """The jobs by which nouns of this version hear."""

        @classmethod
        @asynccontextmanager
        async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:
            """Opens them for the life of the block."""
            yield cls(process.pool, listeners, asks)

    return Hearing
