"""Stripe's webhooks: their signature, and the meaning of their events.

The signature is an HMAC over the time and the raw body (docs.stripe.com/webhooks/signature). Its time is held
against the server's clock. Stripe's library is of no use here: it takes the process' own.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

import msgspec

from pintuan.base.errors import InvalidInput
from pintuan.money.gateway_events.schemas import GatewayEvent, Tells
from pintuan.money.payments.stripe.rules import ORDER_FIELD, REFUND_FIELD

SIGNATURE_HEADER: Final = "Stripe-Signature"
# The tolerance of Stripe's own libraries; an old event that is sent again is signed anew.
TOLERANCE_S: Final = 300
# One for each secret while one is rolled, and some to spare.
SIGNATURES_MAX: Final = 16
HEADER_SIZE_MAX: Final = 4096
PARTS_MAX: Final = 64

_TIME: Final = re.compile(r"[0-9]{1,12}")
_TELLS: Final[dict[str, Tells]] = {
    "payment_intent.amount_capturable_updated": "authorised",
    "payment_intent.succeeded": "captured",
    "payment_intent.canceled": "voided",
    "charge.dispute.created": "disputed",
}
_OF_REFUNDS: Final = frozenset({"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"})
_REFUND_FAILED: Final = frozenset({"failed", "canceled"})
# Stripe gives back by itself only money that was held and not taken.
_HOLD_LET_GO: Final = frozenset({"expired_uncaptured_charge", "partial_capture"})


class _Thing(msgspec.Struct, frozen=True):
    """The PaymentIntent, charge, refund or dispute that an event is about, as far as we read it."""

    object: str
    id: str
    payment_intent: str | None = None
    status: str | None = None
    reason: str | None = None
    metadata: dict[str, str] | None = None


class _Data(msgspec.Struct, frozen=True):
    object: _Thing


class _Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    data: _Data


_decoder = msgspec.json.Decoder(_Event)


def check_signature(body: bytes, header: str, *, secret: str, now_s: float) -> None:
    """Returns when `header` signs the raw body with `secret`, less than five minutes before or after `now_s`.

    Raises InvalidInput.
    """
    time, signatures = _parts_of(header)
    expected = hmac.new(secret.encode(), time.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not any(hmac.compare_digest(expected, signature) for signature in signatures):
        raise InvalidInput.of(SIGNATURE_HEADER, "does not sign this body with the secret of this endpoint")
    if abs(now_s - int(time)) > TOLERANCE_S:
        raise InvalidInput.of(SIGNATURE_HEADER, "was made too long before or after the server's time")


def read_event(body: bytes) -> GatewayEvent:
    """Returns the event in our words; raises InvalidInput when the body is no event of Stripe."""
    try:
        event = _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise InvalidInput.of("body", f"is no event of Stripe: {error}") from error
    thing = event.data.object
    metadata = thing.metadata or {}
    return GatewayEvent(
        id=event.id,
        kind=event.type,
        tells=_told_by(event),
        reference=metadata.get(ORDER_FIELD),
        payment_ref=thing.id if thing.object == "payment_intent" else thing.payment_intent,
        refund_reference=metadata.get(REFUND_FIELD),
    )


def _told_by(event: _Event) -> Tells:
    if event.type not in _OF_REFUNDS:
        return _TELLS.get(event.type, "nothing_new")
    refund = event.data.object
    if refund.reason in _HOLD_LET_GO:
        return "nothing_new"
    return "refund_failed" if refund.status in _REFUND_FAILED else "refunded"


def _parts_of(header: str) -> tuple[str, list[str]]:
    """Returns the time and the signatures of the one scheme in use, `v1`."""
    pairs = [part.strip().partition("=") for part in header[:HEADER_SIZE_MAX].split(",", PARTS_MAX)]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1" and value.isascii()][:SIGNATURES_MAX]
    if not times or not _TIME.fullmatch(times[0]) or not signatures:
        raise InvalidInput.of(SIGNATURE_HEADER, "is missing, or is not of the form t=…,v1=…")
    return times[0], signatures
