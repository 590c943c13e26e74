"""What the gateway did unasked is told apart from what follows from our own calls."""

from __future__ import annotations

import pytest

from pintuan.money.gateway_events.schemas import GatewayEvent, Tells
from pintuan.money.gateway_events.service import surprise_of
from pintuan.money.gateway_events.store import Operations

AUTHORISED: Operations = {("authorise", 0): "succeeded"}
CAPTURED: Operations = AUTHORISED | {("capture", 0): "succeeded"}


def surprise(tells: Tells, operations: Operations, refund_reference: str | None = None) -> str | None:
    event = GatewayEvent(
        id="evt_1",
        kind="x",
        tells=tells,
        reference="ord_1",
        payment_ref="pi_1",
        refund_reference=refund_reference,
    )
    return surprise_of(event, "ord_1", operations)


@pytest.mark.parametrize(
    ("tells", "operations"),
    [
        ("authorised", {("authorise", 0): "unknown"}),
        ("authorised", AUTHORISED),
        ("captured", AUTHORISED | {("capture", 0): "due"}),
        ("captured", CAPTURED),
        ("captured", AUTHORISED | {("capture", 0): "failed"}),
        ("voided", AUTHORISED | {("void", 0): "in_flight"}),
        ("voided", {("authorise", 0): "declined"}),
        ("nothing_new", CAPTURED),
    ],
)
def test_what_we_asked_for_surprises_nobody(tells: Tells, operations: Operations) -> None:
    assert surprise(tells, operations) is None


@pytest.mark.parametrize(
    ("tells", "operations", "word"),
    [
        ("authorised", {("authorise", 0): "declined"}, "holds money"),
        ("captured", AUTHORISED, "never asked"),
        ("captured", AUTHORISED | {("capture", 0): "declined"}, "declined to us"),
        ("voided", AUTHORISED, "expired"),
        ("voided", AUTHORISED | {("capture", 0): "unknown"}, "expired"),
        ("disputed", CAPTURED, "disputes"),
    ],
)
def test_what_nobody_here_asked_for_is_a_surprise(tells: Tells, operations: Operations, word: str) -> None:
    assert word in (surprise(tells, operations) or "")


@pytest.mark.parametrize(
    ("tells", "reference", "state", "surprising"),
    [
        ("refunded", "ord_1:refund:1", "in_flight", False),
        ("refunded", "ord_1:refund:1", "succeeded", False),
        ("refunded", "ord_1:refund:1", "failed", False),
        ("refunded", "ord_1:refund:1", "declined", True),
        ("refunded", "ord_1:refund:2", "succeeded", True),
        ("refunded", "ord_2:refund:1", "succeeded", True),
        ("refunded", "ord_1:refund:x", "succeeded", True),
        ("refunded", None, "succeeded", True),
        ("refund_failed", "ord_1:refund:1", "unknown", False),
        ("refund_failed", "ord_1:refund:1", "succeeded", True),
    ],
)
def test_refunds_are_told_apart_by_our_name_of_them(
    tells: Tells, reference: str | None, state: str, surprising: bool
) -> None:
    operations = CAPTURED | {("refund", 1): state}
    assert (surprise(tells, operations, reference) is not None) == surprising
