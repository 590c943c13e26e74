"""The protocol of every payment gateway.

A call carries an idempotency key that was fixed before its first attempt, and our own reference (the order's
id). Repeating a call with its key never moves money twice: the gateway answers as it did the first time. A
caller that got no answer therefore repeats the call with the same key, or looks the payment up by its
reference.

Errors:

    GatewayError
    ├── GatewayTimeout(reason)        no answer: the operation may or may not have taken place
    ├── GatewayUnavailable(reason)    the operation has not taken place
    ├── PaymentMissing(reference)     the gateway knows no such payment, or not yet; nothing happened
    └── KeyMisused(idempotency_key)   the key was used before with other arguments, a fault of ours
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

CALL_DEADLINE_S: Final = 4.0
"""The time a caller waits for an answer; longer than a gateway usually takes, shorter than a row's lease."""

OperationKind: TypeAlias = Literal["authorise", "capture", "void", "refund"]
PaymentStatus: TypeAlias = Literal["authorised", "declined", "captured", "voided"]


class GatewayError(Exception):
    """Base of every reason why a call has no answer."""


class GatewayTimeout(GatewayError):
    """The outcome is unknown; only the same key, or a look-up, may be tried next."""


class GatewayUnavailable(GatewayError):
    """The gateway refused to take the call, so nothing happened."""


class PaymentMissing(GatewayError):
    """The gateway knows no payment of `reference`, at least not yet; nothing happened now."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"the gateway knows no payment of {reference!r}")
        self.reference = reference


class KeyMisused(GatewayError):
    """`idempotency_key` was used before with other arguments; nothing happened now."""

    def __init__(self, idempotency_key: str) -> None:
        super().__init__(f"the key {idempotency_key!r} was used before with other arguments")
        self.idempotency_key = idempotency_key


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoriseCall:
    """Reserve `amount_minor` of `currency` on the buyer's payment method."""

    idempotency_key: str
    reference: str
    payment_method: str
    buyer_id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureCall:
    """Take `amount_minor`, at most what was authorised; the rest of the authorisation is let go."""

    idempotency_key: str
    reference: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidCall:
    """Let go of an authorisation that was not captured."""

    idempotency_key: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundCall:
    """Give back `amount_minor` of the captured amount; `refund_reference` is our own name of this refund."""

    idempotency_key: str
    reference: str
    refund_reference: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The operation took place; `gateway_ref` is the gateway's own name for it.

    `card` tells the card of an authorisation from all others, whoever pays with it; None if unknown.
    """

    gateway_ref: str
    card: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Declined:
    """The operation was refused for good; repeating it cannot help."""

    reason: str


Answer: TypeAlias = Succeeded | Declined


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """The gateway's books about one reference; `refunds` names those that took place."""

    status: PaymentStatus
    gateway_ref: str
    authorised_minor: int
    captured_minor: int
    currency: str
    refunds: frozenset[str] = frozenset()
    card: str | None = field(default=None, compare=False)


class Gateway(Protocol):
    """One payment provider.

    For want of an answer, every method raises GatewayTimeout, GatewayUnavailable or KeyMisused.
    """

    @property
    def authorisation_lifetime_ms(self) -> int:
        """The time money stays reserved; the gateway then lets go of the uncaptured part."""
        ...

    async def authorise(self, call: AuthoriseCall) -> Answer:
        """Reserves money on the buyer's payment method."""
        ...

    async def capture(self, call: CaptureCall) -> Answer:
        """Takes money that was reserved."""
        ...

    async def void(self, call: VoidCall) -> Answer:
        """Lets go of money that was reserved."""
        ...

    async def refund(self, call: RefundCall) -> Answer:
        """Gives back money that was captured."""
        ...

    async def look_up(self, reference: str) -> Payment | None:
        """Returns the payment with our reference, or None when the gateway never heard of it."""
        ...


def idempotency_key_of(order_id: str, kind: OperationKind, operation_no: int = 0) -> str:
    """Returns the one key under which an order's operation is ever sent; refunds are numbered from 1."""
    return f"{order_id}:{kind}:{operation_no}" if operation_no else f"{order_id}:{kind}"
