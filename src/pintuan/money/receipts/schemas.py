"""Receipts on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from pintuan.base.wire.money import Currency, Money
from pintuan.base.wire.times import moment
from pintuan.buying.groups.schemas import OrderStatus, PaymentStatus, Refund
from pintuan.shop.deals.schemas import Tier
from pintuan.shop.offers.schemas import Offer


class SoldDeal(msgspec.Struct, frozen=True):
    """The deal of a receipt."""

    id: Annotated[str, Meta(description="Names the deal.", examples=["deal_0192f0c1a2b3"])]
    title: Annotated[str, Meta(description="What shoppers read.", examples=["Kettle, spring sale"])]


class SoldProduct(msgspec.Struct, frozen=True):
    """The product of a receipt."""

    id: Annotated[str, Meta(description="Names the product.", examples=["prd_0192f0c1a2b3"])]
    title: Annotated[str, Meta(description="Its title.", examples=["Kettle"])]


class SoldVariant(msgspec.Struct, frozen=True):
    """The variant of a receipt."""

    id: Annotated[str, Meta(description="Names the variant.", examples=["var_0192f0c1a2b3"])]
    sku: Annotated[str, Meta(description="The merchant's own name of it.", examples=["KETTLE-RED"])]
    title: Annotated[str, Meta(description="Its title.", examples=["Red"])]


class ReceiptGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The group of a receipt, with the facts that its price follows from."""

    id: Annotated[str, Meta(description="Names the group.", examples=["grp_0192f0c1a2b3"])]
    ladder: Annotated[list[Tier], Meta(description="The price ladder, as it was when the group opened.")]
    min_headcount: Annotated[int, Meta(description="With fewer the group fails.", examples=[3])]
    settled_headcount: Annotated[
        int | None, Meta(description="Members it was settled with; null until then.", examples=[5])
    ]
    tier: Annotated[
        Tier | None, Meta(description="The step it reached; null until settled, and when it failed.")
    ]
    settled_at: Annotated[datetime | None, moment("When headcount and price were fixed.")]


class ReceiptPayment(msgspec.Struct, frozen=True, kw_only=True):
    """When the money of a receipt moved."""

    status: Annotated[PaymentStatus, Meta(description="How the payment stands.", examples=["captured"])]
    authorised_at: Annotated[datetime | None, moment("When the bank set the promised total aside.")]
    captured_at: Annotated[datetime | None, moment("When the charge was taken.")]
    voided_at: Annotated[datetime | None, moment("When what was set aside was let go.")]
    refunded_at: Annotated[datetime | None, moment("When money was given back last.")]


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What an order cost, and everything that follows from.

    In a group the unit price is the lower of the promise and the tier reached; alone it is the list price.
    """

    order_id: Annotated[str, Meta(description="Names the order.", examples=["ord_0192f0c1a2b3"])]
    status: Annotated[OrderStatus, Meta(description="That of the order.", examples=["captured"])]
    merchant_id: Annotated[str, Meta(description="Who sold it.", examples=["teahouse"])]
    deal: Annotated[SoldDeal, Meta(description="The deal it was sold on.")]
    product: Annotated[SoldProduct, Meta(description="What was sold, as it was called then.")]
    variant: Annotated[SoldVariant, Meta(description="Which of it.")]
    offer: Annotated[Offer, Meta(description="All that the deal offered when the order was placed.")]
    quantity: Annotated[int, Meta(description="Units ordered.", examples=[2])]
    currency: Annotated[Currency, Meta(description="That of every amount here.")]
    list_price: Annotated[Money, Meta(description="Price of a unit for who buys alone.")]
    group: Annotated[ReceiptGroup | None, Meta(description="The group; null for a solo purchase.")]
    promised_unit_price: Annotated[Money, Meta(description="Unit price promised at placement.")]
    promised_total: Annotated[
        Money, Meta(description="The promise times the quantity: what the bank sets aside, never exceeded.")
    ]
    charged_unit_price: Annotated[
        Money | None, Meta(description="Unit price paid; null until the payment was captured.")
    ]
    total: Annotated[Money | None, Meta(description="Amount paid; null until the payment was captured.")]
    refunds: Annotated[list[Refund], Meta(description="Every refund that was asked for, the oldest first.")]
    refunded_total: Annotated[
        Money | None, Meta(description="Amount given back so far; null until the payment was captured.")
    ]
    net_total: Annotated[
        Money | None, Meta(description="Amount paid, less what was given back; null until captured.")
    ]
    payment: Annotated[ReceiptPayment, Meta(description="How the payment stands, and since when.")]
    created_at: Annotated[datetime, moment("When the order was placed.")]
    calculation: Annotated[
        str,
        Meta(
            description="How the amount comes about, in minor units: promise and tier reached, times the "
            "quantity, less refunds. Before the charge, what it will be at most.",
            examples=["min(900, 800) × 2 = 1600"],
        ),
    ]
