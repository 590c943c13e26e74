"""The consequences of a gateway call's result for its operation and its order. Pure: no I/O and no clock.

    authorise  succeeded   held → authorised, and a solo order is captured next; an order that died is voided
               its card    held → declined, and the hold is voided (`CardRefusal`)
               declined    held → declined
    capture    succeeded   authorised → captured
               declined    authorised → payment_failed, and the hold is voided
    void       succeeded   nothing more
    refund     succeeded   captured → partially_refunded → refunded
               declined    what was asked back may be asked again

An operation whose outcome is unknown is repeated later with the same key. An operation that is given up ends
as `failed` and is escalated. Its outcome is unknown, so nothing follows for order and ledger until a person,
or the gateway, tells it. A void that was refused is escalated too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from pintuan.money.payments.gateway import (
    Answer,
    Declined,
    OperationKind,
    Payment,
    Succeeded,
    idempotency_key_of,
)

FAILURE_SIZE_MAX: Final = 500

OrderBecomes: TypeAlias = Literal[
    "authorised", "declined", "captured", "payment_failed", "partially_refunded", "refunded"
]
CardRefusal: TypeAlias = Literal[
    "card_in_group", "card_failed_before", "card_limit", "new_card_limit", "buyer_limit"
]
"""The reason why a card that a gateway took is refused for this order. It has a seat in the group, failed
when it was to be charged, or has as many units of the deal as one buyer may have. Or it is new to the
merchant, and its group has as many such cards as the deal allows.
"""
EndState: TypeAlias = Literal["succeeded", "declined", "failed"]
RepeatState: TypeAlias = Literal["due", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An operation that was taken, as it stood then; `attempts` counts the one that begins now.

    It was made `age_ms` ago, and its first attempt began `tried_for_ms` ago.
    """

    order_id: str
    kind: OperationKind
    operation_no: int = 0
    amount_minor: int
    currency: str
    attempts: int
    age_ms: int
    tried_for_ms: int
    order_status: str
    payment_method: str
    buyer_id: str

    @property
    def name(self) -> str:
        """Its name among all operations."""
        return idempotency_key_of(self.order_id, self.kind, self.operation_no)


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer came: the operation may have taken place."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The gateway did not take the call: nothing happened."""

    reason: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The last attempt had no answer, and the gateway's books did not settle it either."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """The order had died before the first attempt, so there was nothing to ask the gateway for."""

    reason: str


Result: TypeAlias = Answer | Unknown | NotTaken | GivenUp | NotSent


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedOrder:
    """The order of an operation, read under its lock."""

    id: str
    status: str
    group_id: str | None
    quantity: int
    promised_unit_minor: int
    final_unit_minor: int | None = None
    refund_asked_minor: int = 0
    refunded_minor: int = 0
    currency: str

    @property
    def solo(self) -> bool:
        """Says whether it was bought alone."""
        return self.group_id is None

    @property
    def authorised_minor(self) -> int:
        """The amount reserved for the order."""
        return self.promised_unit_minor * self.quantity

    @property
    def charged_minor(self) -> int:
        """The price of the whole order; 0 as long as its unit price is open."""
        return (self.final_unit_minor or 0) * self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The changes to write; None leaves a field as it is. Either `ends_as` or `repeats_as` is set."""

    ends_as: EndState | None = None
    repeats_as: RepeatState | None = None
    gateway_ref: str | None = None
    failure: str | None = None
    order_becomes: OrderBecomes | None = None
    decline_reason: CardRefusal | None = None
    final_unit_minor: int | None = None
    adds: OperationKind | None = None
    # Of a refund: the amount given back, or the amount that may be asked for again because this refund
    # failed.
    refunded_minor: int = 0
    released_minor: int = 0
    # Money may be left held or taken, and no attempt of ours will put it right: a person must look at it.
    escalated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedCard:
    """The digest of a card, None if the gateway did not tell one, and why it may not pay, None if it may.

    `new_cards_max` is how many seats of its group cards may have that never paid the merchant, of such a card
    where the deal says so.
    """

    group_id: str | None
    digest: bytes | None
    refusal: CardRefusal | None
    new_cards_max: int | None = None

    @property
    def takes_new_seat(self) -> bool:
        """Says whether it may have a seat of its group if one is left for new cards."""
        return self.new_cards_max is not None and self.refusal is None


def limit_new_cards(judged: Mapping[str, JudgedCard], seats: Mapping[str, int]) -> dict[str, JudgedCard]:
    """Refuses new cards, by order id, from where on their group has as many as its deal allows.

    They are admitted in the order of `judged`. `seats` counts those that new cards have, by group id.
    """
    taken = dict(seats)
    decided = {}
    for order_id, card in judged.items():
        decided[order_id] = card
        if card.group_id is None or card.new_cards_max is None or card.refusal is not None:
            continue
        if taken[card.group_id] < card.new_cards_max:
            taken[card.group_id] += 1
        else:
            decided[order_id] = replace(card, refusal="new_card_limit")
    return decided


def decide(
    claim: Claim, order: LockedOrder, result: Result, *, card_refusal: CardRefusal | None = None
) -> Decision:
    """Returns the consequences of the result, for the order as it is now and the refusal of its card."""
    match result:
        case Succeeded(gateway_ref) if (
            card_refusal is not None and claim.kind == "authorise" and order.status == "held"
        ):
            return Decision(
                ends_as="succeeded",
                gateway_ref=gateway_ref,
                failure=card_refusal,
                order_becomes="declined",
                decline_reason=card_refusal,
                adds="void",
            )
        case Succeeded(gateway_ref):
            return _decide_success(claim, order, gateway_ref)
        case Declined(reason):
            return _decide_refusal(claim, order, reason[:FAILURE_SIZE_MAX])
        case GivenUp(reason):
            return Decision(ends_as="failed", failure=reason[:FAILURE_SIZE_MAX], escalated=True)
        case NotSent(reason):
            return Decision(ends_as="failed", failure=reason[:FAILURE_SIZE_MAX])
        case NotTaken(reason) if claim.attempts == 1:
            return Decision(repeats_as="due", failure=reason[:FAILURE_SIZE_MAX])
        case Unknown(reason) | NotTaken(reason):
            # Even a call that was not taken tells nothing about an earlier one that had no answer.
            return Decision(repeats_as="unknown", failure=reason[:FAILURE_SIZE_MAX])


def answer_in_books(claim: Claim, payment: Payment | None) -> Answer | None:
    """Returns the answer that the gateway's books imply for an operation; None when they leave it open."""
    kind = claim.kind
    if payment is None:
        return None
    if kind == "refund":
        # A refund that is not in the books may still be on its way there.
        reference = idempotency_key_of(claim.order_id, kind, claim.operation_no)
        return Succeeded(payment.gateway_ref) if reference in payment.refunds else None
    if payment.status == "declined":
        return Declined("declined, as the gateway's books say")
    if kind == "authorise":
        return Succeeded(payment.gateway_ref, payment.card)
    if payment.status == "authorised":
        return None
    done = "captured" if kind == "capture" else "voided"
    if payment.status == done:
        return Succeeded(payment.gateway_ref)
    return Declined(f"the payment is already {payment.status}")


def _decide_success(claim: Claim, order: LockedOrder, gateway_ref: str) -> Decision:
    if claim.kind == "capture":
        becomes: OrderBecomes | None = "captured" if order.status == "authorised" else None
        return Decision(ends_as="succeeded", gateway_ref=gateway_ref, order_becomes=becomes)
    if claim.kind == "void":
        return Decision(ends_as="succeeded", gateway_ref=gateway_ref)
    if claim.kind == "refund":
        whole = order.refunded_minor + claim.amount_minor == order.charged_minor
        return Decision(
            ends_as="succeeded",
            gateway_ref=gateway_ref,
            order_becomes="refunded" if whole else "partially_refunded",
            refunded_minor=claim.amount_minor,
        )
    if order.status != "held":
        return Decision(ends_as="succeeded", gateway_ref=gateway_ref, adds="void")
    return Decision(
        ends_as="succeeded",
        gateway_ref=gateway_ref,
        order_becomes="authorised",
        # Nobody shares a solo purchase, so nothing can lower its price and there is nothing to wait for.
        final_unit_minor=order.promised_unit_minor if order.solo else None,
        adds="capture" if order.solo else None,
    )


def _decide_refusal(claim: Claim, order: LockedOrder, reason: str) -> Decision:
    if claim.kind == "authorise" and order.status == "held":
        return Decision(ends_as="declined", failure=reason, order_becomes="declined")
    if claim.kind == "capture" and order.status == "authorised":
        return Decision(ends_as="declined", failure=reason, order_becomes="payment_failed", adds="void")
    if claim.kind == "refund":
        return Decision(ends_as="declined", failure=reason, released_minor=claim.amount_minor)
    return Decision(ends_as="declined", failure=reason, escalated=claim.kind == "void")
