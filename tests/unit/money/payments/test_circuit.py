"""A gateway that does not answer is left alone, and found again soon after it is back."""

import pytest

from pintuan.money.payments.circuit import FAILURES_IN_A_ROW, PAUSE_S_MAX, WINDOW_S, Circuit, State


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[State]:
    return []


@pytest.fixture
def circuit(clock: Clock, changes: list[State]) -> Circuit:
    return Circuit(on_change=changes.append, read_time_s=clock)


def fail(circuit: Circuit, count: int = FAILURES_IN_A_ROW) -> None:
    for number in range(count):
        circuit.failed(f"order-{number}")


def test_it_opens_when_enough_different_operations_in_a_row_were_not_answered(
    circuit: Circuit, changes: list[State]
) -> None:
    fail(circuit, FAILURES_IN_A_ROW - 1)
    assert circuit.calls_allowed(7) == 7
    circuit.failed("one more")
    assert (circuit.calls_allowed(7), changes) == (0, ["open"])


def test_one_operation_that_never_gets_an_answer_closes_the_way_to_nobody(circuit: Circuit) -> None:
    for _ in range(100):
        circuit.failed("poison")
    assert circuit.calls_allowed(7) == 7
    assert circuit.wait_s() is None


def test_an_answer_in_between_begins_the_count_anew(circuit: Circuit, changes: list[State]) -> None:
    fail(circuit, FAILURES_IN_A_ROW - 1)
    circuit.answered()
    fail(circuit, FAILURES_IN_A_ROW - 1)
    assert (circuit.calls_allowed(7), changes) == (7, [])


def test_failures_far_apart_are_no_outage(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, FAILURES_IN_A_ROW - 1)
    clock.now_s += WINDOW_S
    circuit.failed("one more")
    assert circuit.calls_allowed(7) == 7


def test_after_a_pause_one_probe_at_a_time_may_begin(circuit: Circuit, clock: Clock) -> None:
    fail(circuit)
    assert not circuit.calls_allowed(7)
    clock.now_s += circuit.wait_s() or 0
    assert circuit.calls_allowed(7) == 1
    assert circuit.calls_allowed(0) == 0
    assert circuit.begin()
    assert circuit.calls_allowed(7) == 0
    circuit.probe_ended()
    assert circuit.calls_allowed(7) == 1, "one that said nothing about the gateway gives way to the next"


def test_a_probe_that_is_answered_closes_it(circuit: Circuit, clock: Clock, changes: list[State]) -> None:
    fail(circuit)
    clock.now_s += circuit.wait_s() or 0
    assert circuit.begin()
    circuit.answered()
    circuit.probe_ended()
    assert (circuit.calls_allowed(7), circuit.wait_s(), changes) == (7, None, ["open", "closed"])
    assert not circuit.begin()


def test_pauses_grow_up_to_a_limit_and_begin_anew_after_an_answer(circuit: Circuit, clock: Clock) -> None:
    waits = []
    fail(circuit)
    for _ in range(12):
        wait_s = circuit.wait_s()
        assert wait_s is not None
        waits.append(wait_s)
        clock.now_s += wait_s
        assert circuit.begin()
        circuit.failed("probe")
        circuit.probe_ended()
    assert waits[0] <= 0.5
    assert PAUSE_S_MAX / 2 <= waits[-1] <= PAUSE_S_MAX
    assert waits[4] > waits[0]
    circuit.answered()
    fail(circuit)
    assert (circuit.wait_s() or 0) <= 0.5


def test_calls_from_before_it_opened_do_not_make_the_pause_longer(circuit: Circuit) -> None:
    fail(circuit)
    wait_s = circuit.wait_s()
    fail(circuit, 100)
    assert circuit.wait_s() == wait_s


def test_a_late_answer_closes_it_without_a_probe(circuit: Circuit) -> None:
    fail(circuit)
    circuit.answered()
    assert circuit.calls_allowed(7) == 7
