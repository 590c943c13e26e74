"""A gateway's event in our own words, whichever gateway told it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Tells: TypeAlias = Literal[
    "authorised", "captured", "voided", "refunded", "refund_failed", "disputed", "nothing_new"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayEvent:
    """One event; `kind` is the gateway's own name of it, `tells` ours.

    `reference` is our order if the gateway knows it, `payment_ref` its name of the payment, and
    `refund_reference` our name of the refund if there is one.
    """

    id: str
    kind: str
    tells: Tells
    reference: str | None
    payment_ref: str | None
    refund_reference: str | None = None
