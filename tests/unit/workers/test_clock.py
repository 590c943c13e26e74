"""Sweeps begin by the worker's own clock, spread out, and never pile up."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from workers.clock import UNDER_WAY_MAX, Clock, Sweep

pytestmark = pytest.mark.anyio

EVERY_S = 0.01


class Work:
    """Counts how often it was begun, and holds each up until it is let go."""

    def __init__(self, *, held_up: bool = False, error: Exception | None = None) -> None:
        self.begun = 0
        self.ended = 0
        self.error = error
        self.changed = asyncio.Event()
        self.let_go = asyncio.Event()
        if not held_up:
            self.let_go.set()

    async def __call__(self) -> None:
        self.begun += 1
        self.changed.set()
        await self.let_go.wait()
        if self.error is not None:
            raise self.error
        self.ended += 1

    async def until_begun(self, count: int) -> None:
        while self.begun < count:
            self.changed.clear()
            await self.changed.wait()


async def test_a_sweep_is_made_again_and_again_until_the_clock_stops() -> None:
    work = Work()
    clock = Clock([Sweep("test", work, every_s=EVERY_S)])

    clock.start()
    await work.until_begun(3)
    clock.stop()
    await asyncio.gather(*clock.under_way)
    begun = work.begun
    later = Work()
    asyncio.get_running_loop().call_later(3 * EVERY_S, later.let_go.set)
    await later.let_go.wait()

    assert work.begun == work.ended == begun


async def test_a_sweep_that_hangs_holds_up_no_other_and_does_not_pile_up() -> None:
    hanging, quick = Work(held_up=True), Work()
    clock = Clock([Sweep("hanging", hanging, every_s=EVERY_S), Sweep("quick", quick, every_s=EVERY_S)])

    clock.start()
    await quick.until_begun(10)
    clock.stop()

    assert hanging.begun == UNDER_WAY_MAX
    hanging.let_go.set()
    await asyncio.gather(*clock.under_way)
    assert hanging.ended == UNDER_WAY_MAX


async def test_a_sweep_that_fails_is_made_again() -> None:
    failing = Work(error=ValueError("broken"))
    clock = Clock([Sweep("failing", failing, every_s=EVERY_S)])

    clock.start()
    await failing.until_begun(3)
    clock.stop()
    await asyncio.gather(*clock.under_way)

    assert failing.ended == 0


async def test_sweeps_of_one_period_begin_spread_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    names = [str(number) for number in range(8)]
    clock = Clock([Sweep(name, Work(), every_s=1) for name in names])
    at_s: dict[str, float] = {}

    def note(when: float, _strike: object, sweep: Sweep, _due_s: float) -> asyncio.TimerHandle:
        at_s[sweep.name] = when
        return asyncio.TimerHandle(when, print, (), loop)

    monkeypatch.setattr(loop, "call_at", note)
    now_s = loop.time()
    clock.start()

    times = sorted(when % 1 for when in at_s.values())
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(at_s) == len(names)
    assert all(now_s <= when <= loop.time() + 1 for when in at_s.values())
    assert all(gap == pytest.approx(1 / len(names)) for gap in gaps)


async def test_a_process_that_was_stopped_for_long_owes_one_sweep_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    work = Work()
    sweep = Sweep("test", work, every_s=1)
    clock = Clock([sweep])
    set_for: list[float] = []

    def note(when: float, *_: object) -> asyncio.TimerHandle:
        set_for.append(when)
        return asyncio.TimerHandle(when, print, (), loop)

    monkeypatch.setattr(loop, "call_at", note)
    now_s = loop.time()
    clock._strike(sweep, now_s - 100)
    await asyncio.gather(*clock.under_way)

    assert work.begun == 1
    (next_s,) = set_for
    assert now_s <= next_s <= loop.time() + 1
