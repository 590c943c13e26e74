"""Passes of one kind of work never overlap, and no request for one is lost."""

import asyncio

import pytest

from pintuan.base.jobs.passes import Passes

pytestmark = pytest.mark.anyio


class Work:
    """Counts its passes and holds each up until it is let go."""

    def __init__(self, *, held_up: bool = False) -> None:
        self.count = 0
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()
        self.error: Exception | None = None
        if not held_up:
            self.let_go.set()

    async def __call__(self) -> None:
        self.count += 1
        self.begun.set()
        await self.let_go.wait()
        if self.error is not None:
            raise self.error


async def test_requests_during_a_pass_are_merged_into_one_more() -> None:
    work = Work(held_up=True)
    passes = Passes("test", work)
    first = asyncio.create_task(passes.run())
    await work.begun.wait()

    for _ in range(5):
        await passes.run()
        passes.ask()
    work.let_go.set()
    await first

    assert work.count == 2


async def test_a_pass_asked_for_in_the_background_is_made() -> None:
    work = Work()
    passes = Passes("test", work)

    passes.ask()
    await work.begun.wait()
    await passes.close()

    assert work.count == 1


async def test_a_failure_reaches_who_ran_the_pass_and_the_next_one_starts_afresh() -> None:
    work = Work()
    work.error = ValueError("broken")
    passes = Passes("test", work)

    with pytest.raises(ValueError, match="broken"):
        await passes.run()
    work.error = None
    await passes.run()

    assert work.count == 2


async def test_a_failure_in_the_background_ends_nothing() -> None:
    work = Work()
    work.error = ValueError("broken")
    passes = Passes("test", work)

    passes.ask()
    await work.begun.wait()
    work.error = None
    await passes.run()
    await passes.close()

    assert work.count == 2


async def test_a_pass_can_be_asked_for_at_a_time_and_the_last_time_counts() -> None:
    work = Work()
    passes = Passes("test", work)

    passes.ask_in(3600)
    passes.ask_in(0)
    await work.begun.wait()
    await passes.close()

    assert work.count == 1


async def test_after_closing_nothing_starts_any_more() -> None:
    work = Work()
    passes = Passes("test", work)
    passes.ask_in(0)

    await passes.close()
    passes.ask()
    await passes.run()

    assert work.count == 0
