"""Jobs are found by their names, and names that do not fit are told when a process starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from unittest.mock import Mock

import pytest

from groups.setbacks import Work
from pintuan.base.jobs.job import Asks, NounJobs, job
from pintuan.base.jobs.process_jobs import ProcessJobs, WrongJobs, open_jobs

pytestmark = pytest.mark.anyio


class Parcels(NounJobs):
    """Jobs of a noun that is not there, which asks for another's."""

    def __init__(self, asks: Asks, wanted: str = "labels") -> None:
        self.done: list[str] = []
        self.ask = asks.asker(wanted)

    @classmethod
    @asynccontextmanager
    async def open(cls, process: object, asks: Asks) -> AsyncIterator[Parcels]:  # noqa: ARG003
        yield cls(asks)

    def second_tries(self) -> Mapping[str, Work]:
        return {"parcels": _try}

    @job("parcels", every_s=1, has_doorbell=True)
    async def send(self) -> None:
        self.done.append("sent")
        self.ask()

    @job("parcel tidying", every_s=60, one_for_all=True)
    async def tidy(self) -> None:
        self.done.append("tidied")


class Labels(NounJobs):
    """Jobs of the noun that is asked; each printing waits until it is let go."""

    def __init__(self) -> None:
        self.printing = 0
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, process: object, asks: Asks) -> AsyncIterator[Labels]:  # noqa: ARG003
        yield cls()

    @job("labels", every_s=5, in_passes=False)
    async def print_all(self) -> None:
        self.printing += 1
        self.begun.set()
        await self.let_go.wait()


async def _try(row_ids: Sequence[str]) -> int:
    return len(row_ids)


def test_methods_that_are_marked_are_the_jobs_of_a_noun() -> None:
    assert [(one.name, one.every_s, one.one_for_all, one.has_doorbell) for one in Parcels.declared] == [
        ("parcels", 1, False, True),
        ("parcel tidying", 60, True, False),
    ]


async def test_a_job_asks_for_one_of_a_noun_that_is_added_later() -> None:
    jobs, labels = ProcessJobs(), Labels()
    jobs.add(Parcels(jobs))
    jobs.add(labels)
    jobs.check()

    await jobs.run("parcels")
    await labels.begun.wait()
    labels.let_go.set()
    await jobs.close()

    assert labels.printing == 1


async def test_a_job_without_passes_is_begun_beside_itself_and_waited_for_at_the_end() -> None:
    jobs, labels = ProcessJobs(), Labels()
    jobs.add(labels)
    ask = jobs.asker("labels")

    ask()
    ask.after(0)
    while labels.printing < 2:
        labels.begun.clear()
        await labels.begun.wait()
    closing = asyncio.create_task(jobs.close())
    await asyncio.sleep(0)
    assert not closing.done()
    labels.let_go.set()
    await closing
    ask()
    await asyncio.sleep(0)

    assert labels.printing == 2


async def test_a_job_that_nobody_has_is_told_with_the_name_that_was_meant() -> None:
    jobs = ProcessJobs()
    jobs.add(Parcels(jobs, wanted="label"))
    jobs.add(Labels())

    with pytest.raises(WrongJobs, match=r"no job is named 'label'; did you mean 'labels'\?"):
        jobs.check()


async def test_a_process_does_not_start_with_jobs_that_do_not_fit() -> None:
    with pytest.raises(WrongJobs, match="no job is named 'labels'"):
        async with open_jobs(Mock(), [Parcels]):
            pass
    with pytest.raises(WrongJobs, match="two jobs are named 'labels'"):
        async with open_jobs(Mock(), [Labels, Labels]):
            pass


async def test_two_nouns_may_not_note_their_setbacks_under_one_name() -> None:
    class Letters(NounJobs):
        def second_tries(self) -> Mapping[str, Work]:
            return {"parcels": _try}

    jobs = ProcessJobs()
    jobs.add(Parcels(jobs))
    with pytest.raises(WrongJobs, match="two nouns have setbacks named 'parcels'"):
        jobs.add(Letters())


async def test_second_tries_of_all_nouns_are_seen_by_those_that_were_opened_first() -> None:
    jobs = ProcessJobs()
    tries = jobs.second_tries
    jobs.add(Parcels(jobs))

    assert tries == {"parcels": _try}
