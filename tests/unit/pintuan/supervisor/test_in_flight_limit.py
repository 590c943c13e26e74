"""The number of calls under way follows how long they take."""

from __future__ import annotations

import pytest

from pintuan.supervisor.in_flight_limit import LATENCY_AIM_S, LIMIT_MIN, SAMPLES_MIN, InFlightLimit

LIMIT = 512
WINDOW_S = 0.25


def run(limit: InFlightLimit, windows: int, calls_per_s: float, *, begin_s: float = 0.0) -> float:
    """Keeps a store of this speed busy for some windows; the time after them."""
    now_s = begin_s
    for _ in range(windows):
        now_s += WINDOW_S
        # By Little's law, when as many are under way as may be.
        latency_s = limit.now / calls_per_s
        for _ in range(int(calls_per_s * WINDOW_S)):
            limit.answered(now_s - latency_s, now_s)
        limit.adapt(now_s, is_idle=False)
    return now_s


def test_fast_calls_may_all_be_under_way() -> None:
    limit = InFlightLimit(LIMIT)
    run(limit, 100, calls_per_s=4_000)
    assert limit.now == LIMIT


@pytest.mark.parametrize("calls_per_s", [200, 400, 900])
def test_the_slower_the_stores_the_fewer_may_be_under_way(calls_per_s: int) -> None:
    limit = InFlightLimit(LIMIT)
    run(limit, 200, calls_per_s)
    assert limit.now / calls_per_s <= LATENCY_AIM_S * 1.01
    assert limit.now >= calls_per_s * LATENCY_AIM_S / 2


def test_however_slow_the_stores_a_batch_may_be_under_way() -> None:
    limit = InFlightLimit(LIMIT)
    run(limit, 400, calls_per_s=8)
    assert limit.now == LIMIT_MIN


def test_a_limit_below_a_batch_stays_what_it_is() -> None:
    limit = InFlightLimit(3)
    run(limit, 400, calls_per_s=8)
    assert limit.now == 3


def test_calls_that_began_under_the_limit_before_do_not_lower_it_again() -> None:
    limit = InFlightLimit(LIMIT)
    for _ in range(2):
        for _ in range(SAMPLES_MIN):
            limit.answered(0.0, 1.0)
        limit.adapt(1.0, is_idle=False)
    assert limit.now == int(LIMIT * LATENCY_AIM_S)


def test_it_grows_again_when_calls_are_fast_again() -> None:
    limit = InFlightLimit(LIMIT)
    slow_until_s = run(limit, 100, calls_per_s=200)
    assert limit.now < LIMIT
    run(limit, 20, calls_per_s=5_000, begin_s=slow_until_s)
    assert limit.now == LIMIT


def test_while_nothing_is_answered_it_stays_and_with_nothing_under_way_it_is_forgotten() -> None:
    limit = InFlightLimit(LIMIT)
    now_s = run(limit, 100, calls_per_s=200)
    low = limit.now
    for step in range(100):
        limit.adapt(now_s + step, is_idle=False)
    assert limit.now == low
    limit.adapt(now_s + 100, is_idle=True)
    assert limit.now == LIMIT
