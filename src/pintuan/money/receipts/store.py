"""Receipts in Postgres, one typed function per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.base.wire.money import Money
from pintuan.buying.groups.shown import order_of
from pintuan.money.receipts.calculation import calculation_of
from pintuan.money.receipts.schemas import (
    Receipt,
    ReceiptGroup,
    ReceiptPayment,
    SoldDeal,
    SoldProduct,
    SoldVariant,
)
from pintuan.shop.deals.schemas import Tier
from pintuan.shop.offers.shown import offer_of
from pricing.ladder import Ladder
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

RECEIPTS = load_queries(__package__)


async def select_receipt(pool: asyncpg.Pool, order_id: str, buyer_id: str) -> Receipt | None:
    """Returns the receipt of the buyer's order, or None; somebody else's is None as well."""
    row = await pool.fetchrow(RECEIPTS["select_receipt"], order_id, buyer_id)
    return None if row is None else _receipt_of(row)


def _receipt_of(row: asyncpg.Record) -> Receipt:
    order, currency = order_of(row), row["currency"]
    group = None if order.group_id is None else _group_of(row)
    tier = None if group is None else group.tier
    charged, refunded = order.charged_total, order.refunded_total
    offer = offer_of(row["offer"])
    return Receipt(
        order_id=order.id,
        status=order.status,
        merchant_id=row["merchant_id"],
        deal=SoldDeal(row["deal_id"], offer.title),
        product=SoldProduct(row["product_id"], offer.product_title),
        variant=SoldVariant(row["variant_id"], offer.sku, offer.variant_title),
        offer=offer,
        quantity=order.quantity,
        currency=currency,
        list_price=Money(row["list_price_minor"], currency),
        group=group,
        promised_unit_price=order.promised_price,
        promised_total=Money(order.promised_price.amount * order.quantity, currency),
        charged_unit_price=order.charged_unit_price,
        total=charged,
        refunds=order.refunds,
        refunded_total=refunded,
        net_total=Money(charged.amount - refunded.amount, currency) if charged and refunded else None,
        payment=ReceiptPayment(
            status=order.payment.status,
            authorised_at=row["authorised_at"],
            captured_at=row["captured_at"],
            voided_at=row["voided_at"],
            refunded_at=row["refunded_at"],
        ),
        created_at=order.created_at,
        calculation=calculation_of(
            order.status,
            promised_unit_minor=order.promised_price.amount,
            settled_unit_minor=None if tier is None else tier.unit_price.amount,
            quantity=order.quantity,
            refunded_minor=row["refunded_minor"],
        ),
    )


def _group_of(row: asyncpg.Record) -> ReceiptGroup:
    currency, headcount = row["currency"], row["final_headcount"]
    ladder = Ladder.of(zip(row["tier_headcounts"], row["tier_prices_minor"], strict=True))
    reached = None
    if headcount is not None and headcount >= row["min_headcount"]:
        reached = ladder.tier_at(headcount, row["min_headcount"])
    return ReceiptGroup(
        id=row["group_id"],
        ladder=[Tier(tier.headcount, Money(tier.unit_price_minor, currency)) for tier in ladder.tiers],
        min_headcount=row["min_headcount"],
        settled_headcount=headcount,
        tier=None if reached is None else Tier(reached.headcount, Money(reached.unit_price_minor, currency)),
        settled_at=row["settled_at"],
    )
