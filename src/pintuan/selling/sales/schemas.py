"""Orders and groups as the merchant sees them who sells to them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pintuan.base.wire.money import Money
from pintuan.base.wire.times import moment
from pintuan.buying.groups.schemas import Group, OrderStatus, Payment, Refund
from pintuan.shop.offers.schemas import Offer


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """An order of one of the merchant's deals."""

    id: Annotated[str, Meta(description="Names the order.", examples=["ord_0192f0c1a2b3"])]
    deal_id: Annotated[str, Meta(description="What was ordered.", examples=["deal_0192f0c1a2b3"])]
    offer: Annotated[
        Offer, Meta(description="What to send: what the deal offered when the order was placed.")
    ]
    group_id: Annotated[
        str | None, Meta(description="The group; null for a solo purchase.", examples=["grp_0192f0c1a2b3"])
    ]
    seat: Annotated[int | None, Meta(description="Number of the seat in the group.", examples=[3])]
    status: Annotated[
        OrderStatus, Meta(description="Ship what is `captured`: it is paid for.", examples=["captured"])
    ]
    quantity: Annotated[int, Meta(description="Units ordered.", examples=[1])]
    promised_price: Annotated[Money, Meta(description="Unit price shown to the buyer at placement.")]
    charged_unit_price: Annotated[
        Money | None, Meta(description="Unit price paid; null until the payment was captured.")
    ]
    charged_total: Annotated[
        Money | None, Meta(description="Amount paid; null until the payment was captured.")
    ]
    refunded_total: Annotated[
        Money | None, Meta(description="Amount given back so far; null until the payment was captured.")
    ]
    refunds: Annotated[list[Refund], Meta(description="Every refund that was asked for, the oldest first.")]
    payment: Annotated[Payment, Meta(description="How the payment stands.")]
    buyer_reference: Annotated[
        str,
        Meta(
            description="Stands for the buyer: one in all orders of this merchant, another for another one.",
            examples=["byr_5f0c7a1e9d3b4c2881f6a0e4d7b3c512"],
        ),
    ]
    card_reference: Annotated[
        str | None,
        Meta(
            description="Stands for the card: one in all orders of this merchant that were paid with it, "
            "whoever paid. Null before the payment was authorised.",
            examples=["crd_93b1f7c2a80d4e65b1c7f0a2d9e84b30"],
        ),
    ]
    address_reference: Annotated[
        str | None,
        Meta(
            description="Stands for `ship_to` in the same way, whoever gave it. Null where there is none.",
            examples=["adr_1c40e9a7736f4b02a5d8c3e1f6b7920d"],
        ),
    ]
    ship_to: Annotated[
        dict[str, Any] | None,
        Meta(
            description="Where to send the goods, as the buyer gave it; null before the order is paid for.",
            examples=[{"name": "Ann Lee", "city": "Lyon", "country": "FR"}],
        ),
    ]
    created_at: Annotated[datetime, moment("When the order was placed.")]
    updated_at: Annotated[
        datetime,
        moment("When its status or its refunds changed last.", "2030-01-01T12:05:00Z"),
    ]


class SoldGroup(Group, frozen=True, kw_only=True):
    """A group with its sales; `my_order` is null."""

    units: Annotated[int, Meta(description="Units of its live orders.", examples=[12])]
    orders_by_status: Annotated[
        dict[OrderStatus, int],
        Meta(
            description="How many orders it has of each status, those that ended included; an order that was "
            "paid for and refunded counts as `partially_refunded` or `refunded`, no longer as `captured`.",
            examples=[{"authorised": 3, "declined": 1}],
        ),
    ]
    revenue: Annotated[Money, Meta(description="Gross: what was captured so far, refunds not taken off.")]
    refunded: Annotated[Money, Meta(description="What was given back of it so far.")]
    net_revenue: Annotated[
        Money, Meta(description="`revenue` less `refunded`; the platform's fee is not off.")
    ]
