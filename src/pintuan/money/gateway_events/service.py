"""Taking in a gateway's events: repeated or reordered, they leave the same state behind.

An event is a surprise if our requests to the gateway do not explain it. They are written down before they are
made, so neither the time nor the order of events matters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from pintuan.base.errors import InvalidInput, NotFound
from pintuan.money.gateway_events import store, stripe_events
from pintuan.money.payments.metrics import PAYMENT_ESCALATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from pintuan.base.settings.settings import Settings
    from pintuan.money.gateway_events.schemas import GatewayEvent
    from pintuan.money.gateway_events.store import Operations

EVENT_ID_LENGTH_MAX: Final = 255
TEXT_LENGTH_MAX: Final = 255

_ENDED_UNDONE: Final = frozenset({"declined", "failed"})
# There from the start, so that a graph says 0 as long as nothing surprised anybody.
_SURPRISES: Final = PAYMENT_ESCALATIONS.labels("event")

_logger = structlog.get_logger("pintuan.money.payments")


def read_event(
    settings: Settings, gateway: str, headers: Mapping[str, str], body: bytes, *, now_s: float
) -> GatewayEvent:
    """Returns an event that the gateway in use has signed; `now_s` is the server's real time.

    Raises:
        NotFound: no such gateway is in use here; the sandbox sends no events.
        InvalidInput: the signature is wrong, or the body is no event.
    """
    secret = settings.stripe_webhook_secret
    if gateway != settings.payment_gateway or gateway != "stripe" or secret is None:
        raise NotFound("gateway")
    header = headers.get(stripe_events.SIGNATURE_HEADER.lower(), "")
    stripe_events.check_signature(body, header, secret=secret, now_s=now_s)
    event = stripe_events.read_event(body)
    texts = (event.kind, event.reference, event.payment_ref, event.refund_reference)
    if not 1 <= len(event.id) <= EVENT_ID_LENGTH_MAX or any(
        _is_unkeepable(text) for text in (event.id, *texts)
    ):
        raise InvalidInput.of("body", "has an id or a name that is too long, or that no text can hold")
    return event


async def keep_event(pool: asyncpg.Pool, gateway: str, event: GatewayEvent) -> bool:
    """Keeps an event once, whose origin is certain; returns whether operations of ours are due for a look."""
    async with pool.acquire() as connection, connection.transaction():
        order_id = await store.find_order(connection, event)
        surprise = None
        if order_id is not None:
            operations = await store.read_operations(connection, order_id)
            surprise = surprise_of(event, order_id, operations)
        fresh = await store.insert_event(connection, gateway, event, order_id=order_id, surprise=surprise)
        if fresh and order_id is not None:
            await store.make_due(connection, order_id)
    if fresh and surprise is not None:
        _SURPRISES.inc()
        _logger.error(
            "payment escalated", order_id=order_id, kind="event", reason=surprise, event_id=event.id
        )
    return fresh and order_id is not None


def surprise_of(event: GatewayEvent, order_id: str, operations: Operations) -> str | None:
    """Returns why nobody here expected the event; None when it follows from our requests.

    An operation that was given up is no surprise: the event makes us look at it again.
    """
    match event.tells:
        case "authorised":
            declined = operations.get(("authorise", 0)) == "declined"
            return "it holds money, though it was declined to us" if declined else None
        case "captured":
            state = operations.get(("capture", 0))
            if state is None:
                return "captured, and we never asked for it"
            return "captured, though it was declined to us" if state == "declined" else None
        case "voided":
            expected = ("void", 0) in operations or operations.get(("authorise", 0)) in _ENDED_UNDONE
            return None if expected else "let go of, and we never asked for it; the hold may have expired"
        case "refunded" | "refund_failed":
            return _surprise_of_refund(event, _refund_of(event, order_id, operations))
        case "disputed":
            return "the buyer disputes the charge at their bank"
        case "nothing_new":
            return None


def _refund_of(event: GatewayEvent, order_id: str, operations: Operations) -> str | None:
    """Returns the state of the refund of ours that the event is about; None when it is none of ours."""
    prefix, _, number = (event.refund_reference or "").rpartition(":")
    if prefix != f"{order_id}:refund" or not (number.isascii() and number.isdigit()):
        return None
    return operations.get(("refund", int(number)))


def _surprise_of_refund(event: GatewayEvent, state: str | None) -> str | None:
    if event.tells == "refund_failed":
        return "a refund failed after it had been counted as done" if state == "succeeded" else None
    if state is None:
        return "given back, and we never asked for it"
    return "given back, though it was declined to us" if state == "declined" else None


def _is_unkeepable(text: str | None) -> bool:
    return text is not None and (len(text) > TEXT_LENGTH_MAX or "\0" in text)
