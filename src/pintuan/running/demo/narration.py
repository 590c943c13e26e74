"""The ticker's sentences about steps and their outcomes; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pintuan.base.wire.money import Money
from pintuan.buying.groups.schemas import Group, Order, Refund
from pintuan.running.demo.board import Tone
from pintuan.running.demo.plan import Step
from pricing.currency import format_minor

_REFUSALS: Final = {
    "group_full": "the group is full",
    "sold_out": "sold out",
    "already_joined": "already in",
    "limit_reached": "that is more than one buyer may have",
    "cancel_locked": "leaving now would break the price promised to others",
}
_BANKS: Final = {
    "pm_timeout": ", although the bank's first answer got lost",
    "pm_slow": ", after a slow bank agreed",
    "pm_refund_timeout": ", although the bank's first answer got lost",
}


def shown(money: Money) -> str:
    """Returns the amount with its code: "8.00 USD", "1500 JPY"."""
    return format_minor(money.amount, money.currency)


def summed(sums: Sequence[Money]) -> str:
    """Returns amounts of several currencies as one text: "8.00 USD + 1500 JPY"; empty for none."""
    return " + ".join(map(shown, sums))


def joined(step: Step, order: Order, before: Group | None, title: str) -> tuple[str, Tone]:
    """Tells how a join came out, once its payment is decided; `before` is the group before it."""
    if order.status == "declined":
        return f"{step.actor}'s card was declined: nothing is charged, the seat is free again", "bad"
    group = order.group
    if group is None:
        paid = shown(order.charged_total or order.promised_price)
        return f"{step.actor} bought {title} × {order.quantity} at list price, {paid}", "plain"
    who = f"{step.actor}{_arrival_of(step, title)}{_BANKS.get(step.method, '')}"
    if before is not None and group.unit_price.amount < before.unit_price.amount:
        return f"{who}: price falls to {shown(group.unit_price)}", "good"
    return f"{who}: {_outlook_of(group)}", "plain"


def refused(step: Step, code: str, title: str) -> tuple[str, Tone]:
    """Tells that a call was refused."""
    reason = _REFUSALS.get(code, code)
    if step.verb == "cancel":
        return f"{step.actor} may not leave {title}: {reason}", "quiet"
    units = f" {step.quantity} of" if step.quantity > 1 else ""
    return f"{step.actor} asked for{units} {title} and was refused: {reason}", "quiet"


def cancelled(step: Step, title: str) -> tuple[str, Tone]:
    """Tells that somebody left."""
    return f"{step.actor} left {title} in time: the payment is released, the seat is free again", "quiet"


def repeated(step: Step) -> tuple[str, Tone]:
    """Tells that a request was sent again and changed nothing."""
    return f"{step.actor}'s phone sent the request twice: still one seat", "quiet"


def ended(group: Group, title: str) -> tuple[str, Tone]:
    """Tells how a group ended."""
    if group.status == "succeeded" and group.final_unit_price is not None:
        full = "fills up" if group.headcount == group.max_headcount else "runs out"
        return f"{title} {full} with {group.headcount}: settled at {shown(group.final_unit_price)}", "good"
    return f"{title} runs out with {group.headcount} of {group.min_headcount}: nobody pays", "bad"


def capture_failed(step: Step) -> tuple[str, Tone]:
    """Tells that the final charge failed, which raises nobody's price."""
    return f"{step.actor}'s card refused the charge: the merchant bears it, nobody else pays more", "bad"


def given_back(step: Step, refund: Refund) -> tuple[str, Tone]:
    """Tells what became of money that the merchant gives back."""
    if refund.status == "failed":
        return f"{step.actor}'s card takes no refunds: {shown(refund.amount)} stay with the merchant", "bad"
    bank = _BANKS.get(step.method, "")
    return f"{step.actor} gets {shown(refund.amount)} back, {refund.reason}{bank}", "good"


def _arrival_of(step: Step, title: str) -> str:
    if step.verb == "open":
        return f" opened a group for {title}"
    if step.verb == "link":
        return f" joined through {step.through}'s link"
    return f" was placed into the group for {title}"


def _outlook_of(group: Group) -> str:
    lacking = group.min_headcount - group.headcount
    if lacking > 0:
        return f"{lacking} more needed for {shown(group.unit_price)}"
    if group.headcount >= group.max_headcount:
        return f"full at {shown(group.unit_price)}"
    if group.next_tier is not None:
        return f"{group.next_tier.missing} more for {shown(group.next_tier.unit_price)}"
    return f"now {shown(group.unit_price)}"
