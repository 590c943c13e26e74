"""What is known of a call's effect."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks.chaos.history import Call, History
from tests.unit.benchmarks.chaos.world import ORDERS, placed, refused

CALL = placed(ORDERS[0], 1.0)


def lost(call: Call) -> Call:
    return msgspec.structs.replace(call, status=0, order=None, order_id=None)


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (201, None, "ok"),
        (200, None, "ok"),
        (304, None, "ok"),
        (409, "group_full", "refused"),
        (422, "idempotency_key_reused", "refused"),
        (500, None, "refused"),
        (409, "idempotency_in_flight", "unknown"),
        (429, "rate_limited", "unknown"),
        (503, "overloaded", "unknown"),
        (0, None, "unknown"),
    ],
)
def test_only_a_decision_is_one(status: int, code: str | None, outcome: str) -> None:
    assert msgspec.structs.replace(CALL, status=status, code=code).outcome == outcome


def test_a_wish_is_undecided_until_one_of_its_calls_is_decided() -> None:
    assert list(History(seed=1, calls=[lost(CALL)]).undecided()) == [CALL.wish]
    assert History(seed=1, calls=[lost(CALL), CALL]).undecided() == {}
    assert History(seed=1, calls=[lost(CALL), refused(CALL, 2.0, "group_full")]).undecided() == {}
    assert History(seed=1, calls=[CALL, lost(CALL)]).undecided() == {}
