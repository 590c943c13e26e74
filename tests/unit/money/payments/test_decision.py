"""Every result of a call leads to one decision, whatever became of the order meanwhile."""

from dataclasses import replace

import pytest

from pintuan.money.payments.decision import (
    Claim,
    Decision,
    GivenUp,
    LockedOrder,
    NotSent,
    NotTaken,
    Result,
    Unknown,
    answer_in_books,
    decide,
)
from pintuan.money.payments.gateway import Answer, Declined, OperationKind, Payment, PaymentStatus, Succeeded

DEAD = ["declined", "expired", "cancelled", "released", "payment_failed"]
YES = Succeeded("ref")
NO = Declined("no")


def claim(kind: OperationKind, *, attempts: int = 1) -> Claim:
    return Claim(
        order_id="ord_1",
        kind=kind,
        amount_minor=1800,
        currency="USD",
        attempts=attempts,
        age_ms=0,
        tried_for_ms=0,
        order_status="held",
        payment_method="pm_ok",
        buyer_id="ann",
    )


def order(status: str, *, solo: bool = False) -> LockedOrder:
    return LockedOrder(
        id="ord_1",
        status=status,
        group_id=None if solo else "grp_1",
        quantity=2,
        promised_unit_minor=900,
        currency="USD",
    )


def test_an_authorised_seat_waits_for_its_group() -> None:
    assert decide(claim("authorise"), order("held"), YES) == Decision(
        ends_as="succeeded", gateway_ref="ref", order_becomes="authorised"
    )


def test_an_authorised_solo_order_is_captured_next_at_the_promised_price() -> None:
    assert decide(claim("authorise"), order("held", solo=True), YES) == Decision(
        ends_as="succeeded",
        gateway_ref="ref",
        order_becomes="authorised",
        final_unit_minor=900,
        adds="capture",
    )


@pytest.mark.parametrize("status", DEAD)
def test_an_authorisation_that_comes_too_late_is_voided(status: str) -> None:
    decision = decide(claim("authorise"), order(status), YES)

    assert (decision.ends_as, decision.order_becomes, decision.adds) == ("succeeded", None, "void")


@pytest.mark.parametrize("status", DEAD)
@pytest.mark.parametrize("kind", ["authorise", "capture"])
def test_a_refusal_moves_no_dead_order(kind: OperationKind, status: str) -> None:
    decision = decide(claim(kind), order(status), NO)

    assert (decision.ends_as, decision.order_becomes, decision.adds) == ("declined", None, None)


def test_a_declined_authorisation_declines_the_order() -> None:
    decision = decide(claim("authorise"), order("held"), NO)

    assert (decision.ends_as, decision.order_becomes, decision.failure) == ("declined", "declined", "no")


def test_a_captured_order_is_done() -> None:
    decision = decide(claim("capture"), order("authorised"), YES)

    assert (decision.ends_as, decision.order_becomes, decision.adds) == ("succeeded", "captured", None)


def test_a_capture_that_fails_for_good_lets_the_hold_go() -> None:
    assert decide(claim("capture"), order("authorised"), NO) == Decision(
        ends_as="declined", failure="no", order_becomes="payment_failed", adds="void"
    )


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("authorise", "held"),
        ("authorise", "expired"),
        ("capture", "authorised"),
        ("void", "released"),
        ("refund", "captured"),
    ],
)
def test_of_what_nobody_knows_the_outcome_nothing_follows_but_that_somebody_must_look(
    kind: OperationKind, status: str
) -> None:
    assert decide(claim(kind), order(status), GivenUp("?")) == Decision(
        ends_as="failed", failure="?", escalated=True
    )


def test_a_void_that_is_refused_needs_an_operator() -> None:
    assert decide(claim("void"), order("expired"), NO) == Decision(
        ends_as="declined", failure="no", escalated=True
    )


@pytest.mark.parametrize(
    ("refunded_minor", "becomes"), [(0, "partially_refunded"), (100, "refunded"), (50, "partially_refunded")]
)
def test_an_order_is_refunded_when_all_of_its_charge_was_given_back(
    refunded_minor: int, becomes: str
) -> None:
    paid = replace(order("captured"), final_unit_minor=950, refunded_minor=refunded_minor)

    decision = decide(claim("refund"), paid, YES)

    assert (decision.order_becomes, decision.refunded_minor, decision.released_minor) == (becomes, 1800, 0)


@pytest.mark.parametrize("status", DEAD)
def test_a_capture_that_is_answered_for_a_dead_order_raises_nobody_from_the_dead(status: str) -> None:
    assert decide(claim("capture"), order(status), YES) == Decision(ends_as="succeeded", gateway_ref="ref")


@pytest.mark.parametrize(
    ("refunds", "expected"), [(["ord_1:refund:1"], Succeeded("ref")), (["ord_1:refund:2"], None), ([], None)]
)
def test_the_books_name_the_refunds_that_took_place(refunds: list[str], expected: Answer | None) -> None:
    payment = Payment(
        status="captured",
        gateway_ref="ref",
        authorised_minor=1800,
        captured_minor=1800,
        currency="USD",
        refunds=frozenset(refunds),
    )

    assert answer_in_books(replace(claim("refund"), operation_no=1), payment) == expected


def test_a_refund_that_is_refused_may_be_asked_for_again() -> None:
    assert decide(claim("refund"), order("captured"), NO) == Decision(
        ends_as="declined", failure="no", released_minor=1800
    )


def test_an_operation_that_was_never_sent_needs_nobody() -> None:
    decision = decide(claim("authorise"), order("expired"), NotSent("order was expired"))

    assert decision == Decision(ends_as="failed", failure="order was expired")


@pytest.mark.parametrize(
    ("result", "attempts", "repeats_as"),
    [
        (Unknown("?"), 1, "unknown"),
        (NotTaken("?"), 1, "due"),
        # An earlier attempt may have had an effect, whatever this one says.
        (NotTaken("?"), 2, "unknown"),
        (Unknown("?"), 2, "unknown"),
    ],
)
def test_an_operation_without_an_answer_is_repeated(result: Result, attempts: int, repeats_as: str) -> None:
    decision = decide(claim("authorise", attempts=attempts), order("held"), result)

    assert decision == Decision(repeats_as=repeats_as, failure="?")  # type: ignore[arg-type]  # One of two texts.


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("authorise", None, None),
        ("authorise", "authorised", Succeeded),
        ("authorise", "captured", Succeeded),
        ("authorise", "voided", Succeeded),
        ("authorise", "declined", Declined),
        ("capture", None, None),
        ("capture", "authorised", None),
        ("capture", "captured", Succeeded),
        ("capture", "voided", Declined),
        ("void", "authorised", None),
        ("void", "voided", Succeeded),
        ("void", "captured", Declined),
    ],
)
def test_the_gateways_books_settle_what_no_answer_did(
    kind: OperationKind, status: PaymentStatus | None, expected: type[Answer] | None
) -> None:
    payment = None
    if status is not None:
        payment = Payment(
            status=status, gateway_ref="ref", authorised_minor=900, captured_minor=0, currency="USD"
        )
    answer = answer_in_books(claim(kind), payment)

    assert (None if answer is None else type(answer)) == expected
