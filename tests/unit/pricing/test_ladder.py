"""Which ladders are accepted, and what they say a headcount costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.currency import AMOUNT_MINOR_MAX
from pricing.ladder import HEADCOUNT_MAX, TIERS_MAX, InvalidLadder, Ladder, LadderProblem, NextTier, Tier
from tests.unit.pricing.ladders import Offer, offers

STEPS = [(2, 900), (5, 800), (10, 700)]
MIN, MAX = 3, 10


def parse(
    steps: list[tuple[int, int]], *, minimum: int = MIN, maximum: int = MAX, list_price: int = 1000
) -> Ladder:
    return Ladder.parse(steps, min_headcount=minimum, max_headcount=maximum, list_price_minor=list_price)


def problem_fields(steps: list[tuple[int, int]], **bounds: int) -> list[str]:
    with pytest.raises(InvalidLadder) as raised:
        parse(steps, **bounds)
    return [problem.field for problem in raised.value.problems]


def test_a_falling_ladder_below_the_list_price_is_accepted() -> None:
    assert parse(STEPS).tiers == (Tier(2, 900), Tier(5, 800), Tier(10, 700))


def test_a_ladder_of_one_step_is_accepted() -> None:
    assert parse([(1, 999)], minimum=1, maximum=1).tiers == (Tier(1, 999),)


@pytest.mark.parametrize(
    ("steps", "bounds", "fields"),
    [
        pytest.param([], {}, ["ladder"], id="no steps"),
        pytest.param(
            [(n + 1, 900 - n) for n in range(TIERS_MAX + 1)],
            {"maximum": 100},
            ["ladder"],
            id="too many steps",
        ),
        pytest.param([(2, 900), (5, 950)], {}, ["ladder[1].unit_price"], id="a price that rises"),
        pytest.param([(2, 900), (5, 900)], {}, ["ladder[1].unit_price"], id="a price that stays"),
        pytest.param([(2, 900), (2, 800)], {}, ["ladder[1].headcount"], id="a headcount repeated"),
        pytest.param([(3, 900), (2, 800)], {}, ["ladder[1].headcount"], id="a headcount that falls"),
        pytest.param([(0, 900)], {}, ["ladder[0].headcount"], id="nobody"),
        pytest.param([(2, 0)], {}, ["ladder[0].unit_price"], id="for free"),
        pytest.param([(2, -1)], {}, ["ladder[0].unit_price"], id="for less than nothing"),
        pytest.param([(2, 1000)], {}, ["ladder[0].unit_price"], id="the list price itself"),
        pytest.param([(4, 900)], {}, ["ladder[0].headcount"], id="starting above the minimum"),
        pytest.param([(2, 900), (11, 800)], {}, ["ladder[1].headcount"], id="ending above the maximum"),
        pytest.param([(1, 900)], {"minimum": 0}, ["min_headcount", "ladder[0].headcount"], id="no minimum"),
        pytest.param([(2, 900)], {"minimum": 5, "maximum": 4}, ["max_headcount"], id="bounds crossed"),
        pytest.param([(2, 900)], {"maximum": HEADCOUNT_MAX + 1}, ["max_headcount"], id="a crowd too large"),
        pytest.param(
            [(2, AMOUNT_MINOR_MAX + 1)],
            {"list_price": AMOUNT_MINOR_MAX + 2},
            ["ladder[0].unit_price"],
            id="a price too large",
        ),
    ],
)
def test_a_ladder_that_breaks_a_rule_is_refused(
    steps: list[tuple[int, int]], bounds: dict[str, int], fields: list[str]
) -> None:
    assert problem_fields(steps, **bounds) == fields


def test_all_problems_of_a_ladder_are_reported_at_once() -> None:
    fields = problem_fields([(4, 1200), (4, 1300), (20, 0)])
    assert fields == [
        "ladder[1].headcount",
        "ladder[1].unit_price",
        "ladder[2].unit_price",
        "ladder[0].unit_price",
        "ladder[1].unit_price",
        "ladder[0].headcount",
        "ladder[2].headcount",
    ]


def test_a_problem_says_what_would_be_right() -> None:
    with pytest.raises(InvalidLadder) as raised:
        parse([(2, 900), (5, 950)])
    assert raised.value.problems == (
        LadderProblem("ladder[1].unit_price", "must be below the step before, 900"),
    )


def test_a_stored_ladder_is_checked_as_well() -> None:
    with pytest.raises(InvalidLadder):
        Ladder.of([(2, 900), (5, 950)])
    assert Ladder.of(STEPS) == parse(STEPS)


@pytest.mark.parametrize(
    ("headcount", "shown", "promised"),
    [
        (0, 900, 900),
        (2, 900, 900),
        (3, 900, 900),
        (4, 900, 800),
        (5, 800, 800),
        (9, 800, 700),
        (10, 700, 700),
    ],
)
def test_the_price_shown_and_promised_follow_the_headcount(headcount: int, shown: int, promised: int) -> None:
    ladder = parse(STEPS)
    assert ladder.unit_price_at(headcount, MIN) == shown
    assert ladder.promise(headcount, MIN) == promised


@pytest.mark.parametrize(
    ("headcount", "minimum", "expected"),
    [
        (0, 3, NextTier(5, 800, 5)),
        (4, 3, NextTier(5, 800, 1)),
        (5, 3, NextTier(10, 700, 5)),
        (0, 5, NextTier(10, 700, 10)),
        (10, 3, None),
        (0, 10, None),
    ],
)
def test_the_next_tier_says_how_many_are_missing(
    headcount: int, minimum: int, expected: NextTier | None
) -> None:
    assert parse(STEPS, minimum=minimum).next_tier(headcount, minimum) == expected


def test_a_headcount_below_the_first_tier_has_no_price() -> None:
    with pytest.raises(ValueError, match="no tier at 1"):
        Ladder.of(STEPS).unit_price_at(1, 1)


@given(offers(), st.integers(0, 60), st.integers(0, 60))
def test_the_price_never_rises_with_the_headcount(offer: Offer, one: int, other: int) -> None:
    fewer, more = sorted((one, other))
    ladder, minimum = offer.ladder, offer.min_headcount
    assert ladder.unit_price_at(more, minimum) <= ladder.unit_price_at(fewer, minimum)


@given(offers(), st.integers(0, 60))
def test_the_next_tier_is_the_first_headcount_with_a_lower_price(offer: Offer, headcount: int) -> None:
    ladder, minimum = offer.ladder, offer.min_headcount
    shown = ladder.unit_price_at(headcount, minimum)
    upcoming = ladder.next_tier(headcount, minimum)
    if upcoming is None:
        assert shown == ladder.tiers[-1].unit_price_minor
        return
    assert upcoming.missing >= 1
    assert ladder.unit_price_at(headcount + upcoming.missing, minimum) == upcoming.unit_price_minor < shown
    assert ladder.unit_price_at(headcount + upcoming.missing - 1, minimum) == shown


@given(st.lists(st.tuples(st.integers(-2, 12), st.integers(-2, 12)), max_size=6), st.integers(-1, 12))
def test_any_steps_are_a_ladder_within_the_rules_or_refused(
    steps: list[tuple[int, int]], minimum: int
) -> None:
    try:
        ladder = parse(steps, minimum=minimum, maximum=10, list_price=10)
    except InvalidLadder:
        return
    headcounts = [tier.headcount for tier in ladder.tiers]
    prices = [tier.unit_price_minor for tier in ladder.tiers]
    assert headcounts == sorted(set(headcounts))
    assert prices == sorted(set(prices), reverse=True)
    assert 1 <= headcounts[0] <= minimum <= 10
    assert headcounts[-1] <= 10
    assert 0 < prices[-1] <= prices[0] < 10
