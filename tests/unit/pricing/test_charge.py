"""Nobody pays more than promised, nobody misses a tier reached, and no refund exceeds a capture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.charge import Charge, Refundable, RefundRefused, Settled, charge, settle
from pricing.ladder import Ladder
from tests.unit.pricing.ladders import Offer, offers

LADDER = Ladder.of([(2, 900), (5, 800), (10, 700)])
MIN = 3


@pytest.mark.parametrize(
    ("headcount", "settled"),
    [(0, None), (2, None), (3, Settled(900)), (6, Settled(800)), (10, Settled(700)), (11, Settled(700))],
)
def test_a_group_settles_at_the_tier_it_reached_or_fails(headcount: int, settled: Settled | None) -> None:
    assert settle(LADDER, MIN, headcount) == settled


@pytest.mark.parametrize(
    ("promised", "quantity", "expected"),
    [(900, 1, Charge(800, 800)), (800, 3, Charge(800, 2400)), (700, 2, Charge(700, 1400))],
)
def test_a_seat_of_a_group_settled_at_six_pays_the_better_of_tier_and_promise(
    promised: int, quantity: int, expected: Charge
) -> None:
    settled = settle(LADDER, MIN, 6)
    assert settled is not None
    assert charge(promised, settled.unit_price_minor, quantity) == expected


@pytest.mark.parametrize(("promised", "settled", "quantity"), [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-5, 1, 1)])
def test_a_charge_of_nothing_is_refused(promised: int, settled: int, quantity: int) -> None:
    with pytest.raises(ValueError, match="cannot charge"):
        charge(promised, settled, quantity)


@given(offers(), st.data())
def test_everyone_pays_at_most_the_promise_and_at_most_the_tier(offer: Offer, data: st.DataObject) -> None:
    seats = data.draw(st.integers(1, offer.max_headcount))
    promises = [offer.ladder.promise(before, offer.min_headcount) for before in range(seats)]
    stayed = data.draw(st.integers(0, seats))
    settled = settle(offer.ladder, offer.min_headcount, stayed)
    if settled is None:
        assert stayed < offer.min_headcount
        return
    quantity = data.draw(st.integers(1, 1000))
    for promised in promises:
        paid = charge(promised, settled.unit_price_minor, quantity)
        assert paid.unit_minor <= promised
        assert paid.unit_minor <= offer.ladder.unit_price_at(stayed, offer.min_headcount)
        assert paid.unit_minor in (promised, settled.unit_price_minor)
        assert paid.total_minor == paid.unit_minor * quantity


@given(offers())
def test_nobody_leaving_means_everybody_pays_the_tier_reached(offer: Offer) -> None:
    headcount = offer.max_headcount
    settled = settle(offer.ladder, offer.min_headcount, headcount)
    assert settled is not None
    for before in range(headcount):
        promised = offer.ladder.promise(before, offer.min_headcount)
        assert charge(promised, settled.unit_price_minor, 1).unit_minor == settled.unit_price_minor


def test_a_refund_without_an_amount_returns_all_that_is_left() -> None:
    assert Refundable(2400).refund(400).refund() == Refundable(2400, 2400)


@pytest.mark.parametrize("amount", [0, -1, 2001, None])
def test_a_refund_of_nothing_or_of_more_than_is_left_is_refused(amount: int | None) -> None:
    capture = Refundable(2400, 2400) if amount is None else Refundable(2400, 400)
    with pytest.raises(RefundRefused) as raised:
        capture.refund(amount)
    assert raised.value.refundable_minor == capture.refundable_minor


@pytest.mark.parametrize(("captured", "refunded"), [(1, 2), (1, -1), (-1, -1)])
def test_books_that_refund_more_than_was_captured_cannot_be_built(captured: int, refunded: int) -> None:
    with pytest.raises(ValueError, match="refunded of"):
        Refundable(captured, refunded)


@given(st.integers(0, 10**6), st.lists(st.one_of(st.none(), st.integers(-10, 10**6)), max_size=20))
def test_refunds_conserve_what_was_captured(captured: int, amounts: list[int | None]) -> None:
    state = Refundable(captured)
    moved = 0
    for amount in amounts:
        try:
            after = state.refund(amount)
        except RefundRefused:
            continue
        moved += after.refunded_minor - state.refunded_minor
        state = after
        assert moved == state.refunded_minor <= captured
        assert state.refunded_minor + state.refundable_minor == captured
