"""Rows of groups and orders as they are shown: the state of a payment, of a price, of a refund."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pintuan.base.wire.money import Money
from pintuan.buying.groups.schemas import (
    Group,
    GroupTier,
    Order,
    OrderStatus,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from pintuan.shop.offers.shown import offer_of
from pricing.ladder import Ladder

if TYPE_CHECKING:
    import asyncpg

_PAYMENTS: Final[dict[tuple[str, str], PaymentStatus]] = {
    ("authorise", "due"): "due",
    ("authorise", "in_flight"): "authorising",
    ("authorise", "succeeded"): "authorised",
    ("capture", "due"): "capturing",
    ("capture", "in_flight"): "capturing",
    ("capture", "succeeded"): "captured",
    ("void", "due"): "voiding",
    ("void", "in_flight"): "voiding",
    ("void", "succeeded"): "voided",
}
_ENDINGS: Final[dict[str, PaymentStatus]] = {"declined": "declined", "unknown": "unknown", "failed": "failed"}
# A refund that was given up is not in it: until somebody has asked the gateway, it may have been made.
_REFUND_ENDINGS: Final[dict[str, RefundStatus]] = {"succeeded": "refunded", "declined": "failed"}
CHARGED: Final[frozenset[OrderStatus]] = frozenset({"captured", "partially_refunded", "refunded"})


def order_of(row: asyncpg.Record) -> Order:
    """Returns the order of a row of the view `orders_shown`, without its group."""
    currency: str = row["currency"]
    kind, state = row["payment_kind"], row["payment_state"]
    charged = row["status"] in CHARGED
    return Order(
        id=row["id"],
        deal_id=row["deal_id"],
        offer=offer_of(row["offer"]),
        group_id=row["group_id"],
        seat=row["seat"],
        status=row["status"],
        quantity=row["quantity"],
        promised_price=Money(row["promised_unit_minor"], currency),
        charged_unit_price=Money(row["final_unit_minor"], currency) if charged else None,
        charged_total=Money(row["final_unit_minor"] * row["quantity"], currency) if charged else None,
        refunded_total=Money(row["refunded_minor"], currency) if charged else None,
        refunds=[_refund_of(refund, currency) for refund in row["refunds"] or ()],
        payment=Payment(_ENDINGS.get(state) or _PAYMENTS[kind, state], row["decline_reason"]),
        group=None,
        created_at=row["created_at"],
    )


def _refund_of(refund: Mapping[str, Any], currency: str) -> Refund:
    return Refund(
        id=refund["id"],
        amount=Money(refund["amount_minor"], currency),
        reason=refund["reason"],
        status=_REFUND_ENDINGS.get(refund["state"], "pending"),
        created_at=msgspec.convert(refund["created_at"], datetime),
        refunded_at=msgspec.convert(refund["refunded_at"], datetime | None),
    )


def group_of(row: asyncpg.Record, share_base: str) -> Group:
    """Returns the group of a row of `select_groups`, without the viewer's order."""
    currency: str = row["currency"]
    ladder = Ladder.of(zip(row["tier_headcounts"], row["tier_prices_minor"], strict=True))
    headcount, min_headcount = row["headcount"], row["min_headcount"]
    settled = row["settled_at"] is not None
    next_tier = None if settled else ladder.next_tier(headcount, min_headcount)
    return Group(
        id=row["id"],
        deal_id=row["deal_id"],
        share_code=row["share_code"],
        share_url=share_base + row["share_code"],
        status=row["status"],
        headcount=headcount,
        held=row["held"],
        max_headcount=row["capacity"],
        min_headcount=min_headcount,
        unit_price=Money(ladder.unit_price_at(headcount, min_headcount), currency),
        next_tier=None
        if next_tier is None
        else GroupTier(next_tier.headcount, Money(next_tier.unit_price_minor, currency), next_tier.missing),
        deadline=row["deadline"],
        opened_at=row["opened_at"],
        settled_at=row["settled_at"],
        final_unit_price=Money(row["final_unit_price_minor"], currency)
        if settled and headcount >= min_headcount
        else None,
        server_time=row["server_time"],
        my_order=None,
    )
