"""A group that closes is charged the tier it reached, or fails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groups.settlement import Decision, decide
from tests.unit.pricing.ladders import Offer, offers

HEADCOUNTS, PRICES = (2, 5, 10), (900, 800, 700)


@pytest.mark.parametrize(
    ("headcount", "decision"),
    [
        (0, Decision(succeeded=False, headcount=0, unit_price_minor=900)),
        (2, Decision(succeeded=False, headcount=2, unit_price_minor=900)),
        (3, Decision(succeeded=True, headcount=3, unit_price_minor=900)),
        (4, Decision(succeeded=True, headcount=4, unit_price_minor=900)),
        (5, Decision(succeeded=True, headcount=5, unit_price_minor=800)),
        (10, Decision(succeeded=True, headcount=10, unit_price_minor=700)),
    ],
)
def test_a_group_reaches_its_tier_or_fails_below_the_minimum(headcount: int, decision: Decision) -> None:
    assert decide(HEADCOUNTS, PRICES, min_headcount=3, headcount=headcount) == decision


def test_a_minimum_above_a_tier_lets_a_failed_group_keep_the_price_it_showed() -> None:
    decision = decide(HEADCOUNTS, PRICES, min_headcount=6, headcount=5)
    assert decision == Decision(succeeded=False, headcount=5, unit_price_minor=800)


@given(offers(), st.data())
def test_the_settled_price_is_the_one_shown_last_and_never_rises_with_the_headcount(
    offer: Offer, data: st.DataObject
) -> None:
    headcounts = [tier.headcount for tier in offer.ladder.tiers]
    prices = [tier.unit_price_minor for tier in offer.ladder.tiers]
    more = data.draw(st.integers(0, offer.max_headcount))
    fewer = data.draw(st.integers(0, more))
    high, low = (
        decide(headcounts, prices, min_headcount=offer.min_headcount, headcount=count)
        for count in (more, fewer)
    )
    assert high.unit_price_minor <= low.unit_price_minor
    assert high.succeeded == (more >= offer.min_headcount)
    assert high.unit_price_minor == offer.ladder.unit_price_at(more, offer.min_headcount)
