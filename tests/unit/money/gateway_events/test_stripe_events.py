"""A webhook of Stripe counts only with its signature, and tells what happened in our words."""

from __future__ import annotations

import json
from typing import Any

import pytest
import stripe

from pintuan.base.errors import InvalidInput
from pintuan.money.gateway_events.stripe_events import TOLERANCE_S, check_signature, read_event
from tests.stripe_server import WEBHOOK_SECRET, signed

NOW_S = 1_900_000_000
EVENT: dict[str, Any] = {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded"}


def header_of(**options: Any) -> tuple[bytes, str]:
    body, headers = signed(EVENT, **({"at_s": NOW_S} | options))
    return body, headers["Stripe-Signature"]


@pytest.mark.parametrize("age_s", [0, TOLERANCE_S, -TOLERANCE_S])
def test_a_fresh_signature_is_good_for_us_and_for_stripes_library(age_s: int) -> None:
    body, header = header_of(at_s=NOW_S - age_s)

    check_signature(body, header, secret=WEBHOOK_SECRET, now_s=NOW_S)
    # Another implementation of the same scheme; it would look at the process' clock, so no time is asked.
    assert stripe.WebhookSignature.verify_header(body, header, WEBHOOK_SECRET, tolerance=None)


@pytest.mark.parametrize("age_s", [TOLERANCE_S + 1, -TOLERANCE_S - 1])
def test_an_old_or_a_coming_signature_is_refused(age_s: int) -> None:
    body, header = header_of(at_s=NOW_S - age_s)
    with pytest.raises(InvalidInput, match="too long before or after"):
        check_signature(body, header, secret=WEBHOOK_SECRET, now_s=NOW_S)


def test_one_signature_of_several_is_enough_while_a_secret_is_rolled() -> None:
    body, header = header_of()
    _, other = header_of(secret="whsec_new")

    both = f"{other},{header.split(',')[1]}"
    check_signature(body, both, secret=WEBHOOK_SECRET, now_s=NOW_S)
    check_signature(body, both, secret="whsec_new", now_s=NOW_S)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1900000000",
        "v1=abc",
        "t=,v1=abc",
        "t=-1,v1=abc",
        "t=1900000000,v0=abc",
        "t=1900000000,v1=é",
        "t=\u0661,v1=abc",
    ],
)
def test_a_header_that_is_no_signature_is_refused(header: str) -> None:
    with pytest.raises(InvalidInput, match="Stripe-Signature: is missing"):
        check_signature(b"{}", header, secret=WEBHOOK_SECRET, now_s=NOW_S)


def test_a_body_that_was_touched_is_refused() -> None:
    body, header = header_of()
    for touched in (body + b" ", body.replace(b"evt_1", b"evt_2")):
        with pytest.raises(InvalidInput, match="does not sign this body"):
            check_signature(touched, header, secret=WEBHOOK_SECRET, now_s=NOW_S)
    with pytest.raises(InvalidInput, match="does not sign this body"):
        check_signature(body, header, secret="whsec_other", now_s=NOW_S)


def event_of(type_: str, **thing: Any) -> bytes:
    return json.dumps(EVENT | {"type": type_, "data": {"object": {"id": "x_1", **thing}}}).encode()


@pytest.mark.parametrize(
    ("type_", "thing", "tells"),
    [
        ("payment_intent.amount_capturable_updated", {"object": "payment_intent"}, "authorised"),
        ("payment_intent.succeeded", {"object": "payment_intent"}, "captured"),
        ("payment_intent.canceled", {"object": "payment_intent"}, "voided"),
        ("payment_intent.payment_failed", {"object": "payment_intent"}, "nothing_new"),
        ("charge.dispute.created", {"object": "dispute"}, "disputed"),
        ("refund.created", {"object": "refund", "status": "succeeded"}, "refunded"),
        ("refund.updated", {"object": "refund", "status": "pending"}, "refunded"),
        ("refund.failed", {"object": "refund", "status": "failed"}, "refund_failed"),
        ("refund.created", {"object": "refund", "reason": "expired_uncaptured_charge"}, "nothing_new"),
        ("customer.created", {"object": "customer", "metadata": {}}, "nothing_new"),
    ],
)
def test_an_event_is_told_in_our_words(type_: str, thing: dict[str, Any], tells: str) -> None:
    assert read_event(event_of(type_, **thing)).tells == tells


def test_an_event_names_the_payment_the_order_and_the_refund() -> None:
    metadata = {"pintuan_order": "ord_1", "pintuan_refund": "ord_1:refund:2"}
    event = read_event(event_of("refund.created", object="refund", payment_intent="pi_1", metadata=metadata))

    assert (event.id, event.reference, event.payment_ref) == ("evt_1", "ord_1", "pi_1")
    assert event.refund_reference == "ord_1:refund:2"
    assert read_event(event_of("payment_intent.succeeded", object="payment_intent")).payment_ref == "x_1"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"id": "evt_1", "type": "x"}'])
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="is no event of Stripe"):
        read_event(body)
