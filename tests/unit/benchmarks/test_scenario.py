"""What all scenarios share."""

from __future__ import annotations

import pytest

from benchmarks.generate import LOST, Outcome
from benchmarks.scenario import Options, UnexpectedAnswersError, closed, require_only


def outcome(statuses: dict[int, int], *, unanswered: int = 0) -> Outcome:
    return Outcome(
        statuses=statuses,
        unanswered=unanswered,
        took_s=1.0,
        accepted=b"",
        refused=b"",
        retry_after=0,
        slots=[],
        slot_s=0.25,
        later_from_s=60.0,
        later_accepted=b"",
        client_cpu_s=0.0,
        samples=["the body of a refusal"],
    )


def test_answers_as_expected_pass() -> None:
    require_only(outcome({201: 7, 409: 2}), (201, 409), "stampede")


@pytest.mark.parametrize(
    ("statuses", "unanswered", "said"),
    [
        ({201: 7, 500: 2}, 0, "2 times 500"),
        ({201: 7, LOST: 1}, 0, "a lost connection"),
        ({201: 7}, 3, "3 unanswered"),
    ],
)
def test_any_other_answer_spoils_a_phase_and_is_told(
    statuses: dict[int, int], unanswered: int, said: str
) -> None:
    with pytest.raises(UnexpectedAnswersError, match=said) as raised:
        require_only(outcome(statuses, unanswered=unanswered), (201,), "join")

    assert "join" in str(raised.value)
    assert "the body of a refusal" in str(raised.value)


def test_quick_runs_make_fewer_calls_and_at_least_one() -> None:
    assert Options().count(8_000) == 8_000
    assert Options(quick=True).count(8_000) == 2_000
    assert Options(quick=True).count(1) == 1


def test_a_closed_loop_sends_each_request_once_unless_told_how_many() -> None:
    requests = [b"a", b"b"]

    assert closed(1, requests, Options(connections=9)).count == 2
    assert closed(1, requests, Options(), count=10).count == 10
    assert closed(1, requests, Options(connections=9)).connections == 9
    assert closed(1, requests, Options()).rate_per_s is None
