"""Groups and orders on the wire; each shows the other, one level deep."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pintuan.base.wire.money import Money
from pintuan.base.wire.times import moment
from pintuan.shop.offers.schemas import Offer

GroupStatus = Literal["open", "closing", "settling", "succeeded", "failed"]
OrderStatus = Literal[
    "held",
    "authorised",
    "captured",
    "partially_refunded",
    "refunded",
    "declined",
    "expired",
    "cancelled",
    "released",
    "payment_failed",
]
PaymentStatus = Literal[
    "due",
    "authorising",
    "authorised",
    "declined",
    "capturing",
    "captured",
    "voiding",
    "voided",
    "unknown",
    "failed",
]

RefundStatus = Literal["pending", "refunded", "failed"]


DeclineReason = Literal["card_in_group", "card_failed_before", "card_limit", "new_card_limit", "buyer_limit"]


class GroupTier(msgspec.Struct, frozen=True):
    """A price of a group."""

    headcount: Annotated[int, Meta(description="Headcount from which on it holds.", examples=[5])]
    unit_price: Annotated[Money, Meta(description="Price of one unit then.")]
    missing: Annotated[int, Meta(description="Members still missing for it.", examples=[2])]


class Payment(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an order's payment stands."""

    status: Annotated[
        PaymentStatus,
        Meta(
            description="`unknown` means that the gateway's answer was lost and is being looked up.",
            examples=["authorised"],
        ),
    ]
    reason: Annotated[
        DeclineReason | None,
        Meta(
            description="Why a card that its bank took was declined here: it has another seat of the group "
            "(`card_in_group`), could not be charged for an earlier group (`card_failed_before`), would have "
            "more units of the deal than one buyer may have (`card_limit`), or never paid the merchant, and "
            "as many cards like it have a seat of the group as the deal allows (`new_card_limit`). Or it is "
            "a buyer's who, with an account erased since, has as many units as one may have "
            "(`buyer_limit`). Absent otherwise.",
            examples=["card_in_group"],
        ),
    ] = None


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Money given back of an order that was paid for."""

    id: Annotated[str, Meta(description="Names the refund.", examples=["rfd_0192f0c1a2b3"])]
    amount: Annotated[Money, Meta(description="How much is given back.")]
    reason: Annotated[str, Meta(description="Why, in the merchant's words.", examples=["arrived damaged"])]
    status: Annotated[
        RefundStatus,
        Meta(
            description="`pending` is on its way to the gateway or being looked into; `failed` was refused "
            "by it for good and may be asked for again.",
            examples=["refunded"],
        ),
    ]
    created_at: Annotated[datetime, moment("When the merchant asked for it.")]
    refunded_at: Annotated[
        datetime | None, moment("When the gateway took it; banks may need days more. Null before.")
    ]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A buyer's record of a seat in a group, or of a solo purchase."""

    id: Annotated[str, Meta(description="Names the order.", examples=["ord_0192f0c1a2b3"])]
    deal_id: Annotated[str, Meta(description="What was ordered.", examples=["deal_0192f0c1a2b3"])]
    offer: Annotated[
        Offer | None,
        Meta(
            description="What the deal offered when the order was placed, whatever was changed since. Null "
            "in the answer to the call that placed it."
        ),
    ]
    group_id: Annotated[
        str | None, Meta(description="The group; null for a solo purchase.", examples=["grp_0192f0c1a2b3"])
    ]
    seat: Annotated[int | None, Meta(description="Number of the seat in the group.", examples=[3])]
    status: Annotated[
        OrderStatus,
        Meta(
            description="`held` waits for its payment, `authorised` counts, `captured` is paid for; "
            "`partially_refunded` and `refunded` were, and got some or all of it back.",
            examples=["held"],
        ),
    ]
    quantity: Annotated[int, Meta(description="Units ordered.", examples=[1])]
    promised_price: Annotated[
        Money, Meta(description="Unit price shown at placement; the buyer never pays more.")
    ]
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
    group: Annotated[
        Group | None,
        Meta(description="The group as it stands now; null for a solo purchase and inside `my_order`."),
    ]
    created_at: Annotated[datetime, moment("When the order was placed.")]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A time-limited group order of a deal."""

    id: Annotated[str, Meta(description="Names the group.", examples=["grp_0192f0c1a2b3"])]
    deal_id: Annotated[str, Meta(description="What is bought.", examples=["deal_0192f0c1a2b3"])]
    share_code: Annotated[str, Meta(description="Names the group in links.", examples=["k7mq3xw9bd"])]
    share_url: Annotated[
        str,
        Meta(
            description="The link to share.",
            examples=["https://shop.example/g/k7mq3xw9bd"],
            extra_json_schema={"format": "uri"},
        ),
    ]
    status: Annotated[GroupStatus, Meta(description="`open` groups can be joined.", examples=["open"])]
    headcount: Annotated[
        int, Meta(description="Members whose payment is authorised; frozen at settling.", examples=[3])
    ]
    held: Annotated[int, Meta(description="Seats that wait for their payment.", examples=[1])]
    max_headcount: Annotated[int, Meta(description="Seats in all.", examples=[10])]
    min_headcount: Annotated[int, Meta(description="With fewer the group fails.", examples=[3])]
    unit_price: Annotated[Money, Meta(description="Price of one unit at this headcount.")]
    next_tier: Annotated[
        GroupTier | None, Meta(description="The next lower price; null on the last tier and once settled.")
    ]
    deadline: Annotated[datetime, moment("When joining ends.")]
    opened_at: Annotated[datetime, moment("When the first member joined.")]
    settled_at: Annotated[datetime | None, moment("When headcount and price were fixed.")]
    final_unit_price: Annotated[
        Money | None, Meta(description="The price reached; null until settled, and when the group failed.")
    ]
    server_time: Annotated[datetime, moment("The server's time of this answer, for countdowns.")]
    my_order: Annotated[
        Order | None, Meta(description="The viewer's own order in the group, for a signed-in viewer.")
    ]


class JoinableGroup(Group, frozen=True, kw_only=True):
    """A group one can join now, with how many people are missing for each price."""

    tiers: Annotated[
        list[GroupTier],
        Meta(description="Every price the group can have, the highest first; 0 are missing for one reached."),
    ]
