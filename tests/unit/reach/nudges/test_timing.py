"""What a group's members are told before it ends is true when they are told, or is not told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pintuan.reach.nudges.store import DueNudge
from pintuan.reach.nudges.timing import Near, near_of, verdict_of

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def nudge(kind: str = "tier_near", *, left: timedelta = timedelta(hours=6), **changes: Any) -> DueNudge:
    values: dict[str, Any] = {
        "group_id": "grp_1",
        "kind": kind,
        "after_buyer_id": "",
        "status": "open",
        "share_code": "abc",
        "deadline": NOW + left,
        "currency": "USD",
        "min_headcount": 3,
        "tier_headcounts": [2, 5, 10],
        "tier_prices_minor": [900, 800, 700],
        "headcount": 3,
        "merchant_id": "acme",
        "wanted": True,
        "sells": True,
        "now": NOW,
        "late_ms": 0,
    }
    return DueNudge(**(values | changes))


@pytest.mark.parametrize(
    ("headcount", "near"),
    [
        (0, None),
        (1, Near(2, 900)),
        (2, Near(1, 900)),
        (3, Near(2, 800)),
        (5, None),
        (8, Near(2, 700)),
        (9, Near(1, 700)),
        (10, None),
    ],
)
def test_a_price_is_near_with_two_people_missing_at_most(headcount: int, near: Near | None) -> None:
    assert near_of(nudge(headcount=headcount)) == near


def test_no_price_is_near_in_a_group_that_nobody_can_join() -> None:
    assert near_of(nudge(sells=False)) is None


@pytest.mark.parametrize("kind", ["tier_near", "hour_left", "succeeded", "failed"])
def test_nobody_is_told_of_a_deal_whose_nudges_are_off(kind: str) -> None:
    left = timedelta(hours=1)
    assert verdict_of(nudge(kind, left=left, status="open", wanted=False)) == "drop"


def test_members_are_told_of_a_near_price_once_it_is_one() -> None:
    assert verdict_of(nudge()) == "tell"
    assert verdict_of(nudge(headcount=5)) == timedelta(minutes=45)
    assert verdict_of(nudge(headcount=5, left=timedelta(minutes=20))) == timedelta(minutes=5)
    assert verdict_of(nudge(left=timedelta(minutes=14))) == "drop"
    # Somebody left while the members were being told.
    assert verdict_of(nudge(headcount=5, after_buyer_id="bea")) == "drop"


@pytest.mark.parametrize("minutes", [46, 60, 75])
def test_the_message_of_the_last_hour_comes_alone(minutes: int) -> None:
    assert verdict_of(nudge(left=timedelta(minutes=minutes))) == timedelta(minutes=minutes - 45)


def test_one_hour_left_is_told_in_time_or_not_at_all() -> None:
    hour = timedelta(hours=1)
    assert verdict_of(nudge("hour_left", left=hour)) == "tell"
    assert verdict_of(nudge("hour_left", left=hour, late_ms=600_001)) == "drop"


@pytest.mark.parametrize("kind", ["tier_near", "hour_left"])
def test_a_group_that_is_over_is_not_told_of_as_open(kind: str) -> None:
    assert verdict_of(nudge(kind, status="closing")) == "drop"
    assert verdict_of(nudge(kind, left=timedelta(0))) == "drop"


def test_how_it_ended_may_come_late_and_not_a_week_later() -> None:
    for days, verdict in ((1, "tell"), (7, "drop")):
        ended = nudge("failed", left=timedelta(days=-days), status="failed", late_ms=days * 24 * 3_600_000)
        assert verdict_of(ended) == verdict
