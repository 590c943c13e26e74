"""The events of orders; the trigger `orders_changed` writes them."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

OrderEvent: TypeAlias = Literal[
    "order.authorised",
    "order.captured",
    "order.cancelled",
    "order.payment_failed",
    "order.partially_refunded",
    "order.refunded",
]
EVENTS: Final[dict[OrderEvent, str]] = {
    "order.authorised": "Somebody is in, their money set aside",
    "order.captured": "An order is paid for",
    "order.cancelled": "Somebody who was in left",
    "order.payment_failed": "A charge finally failed",
    "order.partially_refunded": "A part of an order's charge was given back",
    "order.refunded": "All of an order's charge was given back",
}
