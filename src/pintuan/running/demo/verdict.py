"""Compares what became of the show with its plan; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pintuan.base.wire.money import Money
from pintuan.buying.groups.schemas import Group
from pintuan.running.demo.board import Placed, Record
from pintuan.running.demo.narration import shown
from pricing.charge import charge

_PAID: Final = frozenset({"captured", "partially_refunded", "refunded"})


def faults_of(records: Iterable[Record]) -> list[str]:
    """Returns a line for everything that did not go as planned, with the deal it happened on."""
    return [
        f"{record.deal.title}: {fault}"
        for record in records
        for fault in (*record.faults, *_group_faults(record), *_order_faults(record))
    ]


def _group_faults(record: Record) -> Iterator[str]:
    scene, group = record.scene, record.group
    if scene.ends_as == "solo":
        return
    if group is None:
        yield "there never was a group"
        return
    if group.status != scene.ends_as:
        yield f"the group is {group.status}, not {scene.ends_as}"
    if group.headcount != scene.headcount:
        yield f"the group counts {group.headcount} members, not {scene.headcount}"
    settled_minor = None if group.final_unit_price is None else group.final_unit_price.amount
    if settled_minor != scene.settled_unit_minor:
        yield f"the group settled at {settled_minor}, not {scene.settled_unit_minor} (minor units)"


def _order_faults(record: Record) -> Iterator[str]:
    for step in record.scene.steps:
        if not step.places:
            continue
        placed = record.placed.get(step.actor)
        if placed is None:
            yield f"{step.actor} has no order"
        elif placed.order.status != step.ends_as:
            yield f"{step.actor}'s order is {placed.order.status}, not {step.ends_as}"
        else:
            yield from _charge_faults(record, placed)
            yield from _refund_faults(record, placed)


def _charge_faults(record: Record, placed: Placed) -> Iterator[str]:
    """Yields the faults of a price, which must be nothing or the lower of promise and settled price."""
    order, actor = placed.order, placed.step.actor
    if order.status not in _PAID:
        if order.charged_total is not None:
            yield f"{actor} paid {shown(order.charged_total)} with an order that is {order.status}"
        return
    price = _unit_price(record)
    if price is None or order.charged_unit_price is None or order.charged_total is None:
        yield f"{actor}'s payment was captured without a price"
        return
    due = charge(order.promised_price.amount, price.amount, order.quantity)
    for name, charged, due_minor in (
        ("a unit", order.charged_unit_price, due.unit_minor),
        ("in all", order.charged_total, due.total_minor),
    ):
        if charged != Money(due_minor, price.currency):
            yield f"{actor} paid {shown(charged)} {name}, not {shown(Money(due_minor, price.currency))}"


def _refund_faults(record: Record, placed: Placed) -> Iterator[str]:
    """Yields the faults of a refund, which must be just the sum the merchant gave, at most the price paid."""
    order, actor = placed.order, placed.step.actor
    paid_minor = 0 if order.charged_total is None else order.charged_total.amount
    left_minor, planned = paid_minor, []
    for given_back in record.scene.given_back:
        if given_back.actor == actor:
            amount_minor = left_minor if given_back.amount_minor is None else given_back.amount_minor
            left_minor -= amount_minor if given_back.ends_as == "refunded" else 0
            planned.append((amount_minor, given_back.ends_as))
    made = [(refund.amount.amount, refund.status) for refund in order.refunds]
    if made != planned:
        yield f"{actor} was refunded {made}, not {planned} (minor units)"
    refunded_minor = 0 if order.refunded_total is None else order.refunded_total.amount
    due_minor = paid_minor - left_minor
    if refunded_minor != due_minor or left_minor < 0:
        yield f"{actor} got {refunded_minor} of {paid_minor} back, not {due_minor} (minor units)"


def _unit_price(record: Record) -> Money | None:
    group: Group | None = record.group
    if record.scene.ends_as == "solo":
        return record.deal.list_price
    return None if group is None else group.final_unit_price
