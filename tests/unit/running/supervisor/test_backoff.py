"""How long a dead process waits for its next start."""

from hypothesis import given
from hypothesis import strategies as st

from pintuan.running.supervisor.backoff import (
    BOOT_RESTARTS_MAX,
    DELAY_S_MAX,
    DELAY_S_MIN,
    JITTER,
    RESTARTS_MAX,
    STEADY_S,
    WORKED_S,
    Backoff,
)

SHORT_LIFE_S = 0.5


def test_delays_double_up_to_their_bound_and_then_end() -> None:
    backoff = Backoff()
    for restart in range(RESTARTS_MAX):
        delay_s = backoff.next_delay_s(SHORT_LIFE_S)
        assert delay_s is not None
        full_s = min(DELAY_S_MAX, DELAY_S_MIN * 2**restart)
        assert full_s * (1 - JITTER) <= delay_s <= full_s
    assert backoff.next_delay_s(SHORT_LIFE_S) is None


def test_a_steady_life_forgets_the_deaths_before_it() -> None:
    backoff = Backoff()
    for _ in range(RESTARTS_MAX):
        backoff.next_delay_s(SHORT_LIFE_S)
    delay_s = backoff.next_delay_s(STEADY_S)
    assert delay_s is not None
    assert delay_s <= DELAY_S_MIN


def test_one_that_worked_is_wanted_back_at_once_but_its_deaths_are_counted() -> None:
    backoff = Backoff()
    for _ in range(RESTARTS_MAX):
        delay_s = backoff.next_delay_s(WORKED_S)
        assert delay_s is not None
        assert delay_s <= DELAY_S_MIN
    assert backoff.next_delay_s(WORKED_S) is None


def test_before_the_marketplace_is_ready_it_gives_up_sooner() -> None:
    backoff = Backoff()
    delays = [backoff.next_delay_s(SHORT_LIFE_S, BOOT_RESTARTS_MAX) for _ in range(BOOT_RESTARTS_MAX + 1)]
    assert delays[-1] is None
    assert None not in delays[:-1]


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=50))
def test_no_delay_is_ever_longer_than_the_bound(lifetimes_s: list[float]) -> None:
    backoff = Backoff()
    for lifetime_s in lifetimes_s:
        delay_s = backoff.next_delay_s(lifetime_s)
        assert delay_s is None or 0 < delay_s <= DELAY_S_MAX
