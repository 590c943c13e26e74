"""How much of the interpreter others get beside joins."""

from __future__ import annotations

import asyncio

import pytest

from pintuan.http.fair_share.pace import HTTP_S, JOINS_RECENT_S, PAUSE, PAUSE_S_MAX, Measured, Pace

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s


async def test_nobody_pauses_while_no_join_is_under_way() -> None:
    pace = Pace(lambda: False, Clock())
    assert [pace.pause_s(0.5) for _ in range(3)] == [0, 0, 0]


async def test_together_they_get_a_fixed_part_of_the_time_however_many_there_are() -> None:
    clock, took_s, worked_s = Clock(), 0.004, 0.0
    pace = Pace(lambda: True, clock)
    free_at_s = [clock.s] * 20
    while clock.s < 1_010.0:
        clock.s = max(clock.s, min(free_at_s))
        place = free_at_s.index(min(free_at_s))
        clock.s += took_s
        worked_s += took_s
        free_at_s[place] = clock.s + pace.pause_s(took_s)

    assert worked_s / (clock.s - 1_000.0) < 1 / PAUSE


async def test_a_pause_is_bounded_whatever_a_call_took() -> None:
    pace = Pace(lambda: True, Clock())
    assert max(pace.pause_s(30.0) for _ in range(10)) <= PAUSE_S_MAX


async def test_joins_count_for_a_moment_after_the_last_of_a_batch() -> None:
    clock, joins = Clock(), [True]
    pace = Pace(lambda: bool(joins), clock)
    assert pace.pause_s(0) == pytest.approx(HTTP_S * PAUSE)
    joins.clear()
    clock.s += JOINS_RECENT_S / 2
    assert pace.pause_s(0) > 0
    clock.s += JOINS_RECENT_S
    assert pace.pause_s(0) == 0


async def test_what_a_coroutine_works_is_measured_and_what_it_waits_is_not() -> None:
    clock, goes_on = Clock(), asyncio.Event()
    looks: list[float] = []

    async def work() -> None:
        clock.s += 0.01
        looks.append(measured.took_s)
        await goes_on.wait()
        clock.s += 0.02

    async def others_work() -> None:
        clock.s += 5
        goes_on.set()

    measured = Measured(work(), clock)
    others = asyncio.create_task(others_work())
    await measured
    await others

    assert looks == [pytest.approx(0.01)]
    assert measured.took_s == pytest.approx(0.03)


async def test_what_is_raised_passes_in_and_out() -> None:
    caught: list[str] = []
    timed_out = asyncio.Event()

    async def work() -> None:
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            caught.append("timeout")
        timed_out.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            caught.append("cancelled")
            raise ValueError("out") from None

    async def run() -> None:
        await Measured(work())

    task = asyncio.create_task(run())
    await timed_out.wait()
    task.cancel()
    with pytest.raises(ValueError, match="out"):
        await task
    assert caught == ["timeout", "cancelled"]
