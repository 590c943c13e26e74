"""Deals on the wire.

The numbers of a new deal carry their bounds for the reader of the contract only: the service checks them, so
that all that is wrong with a deal is told at once and not just the first.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pintuan.base.wire.money import Money
from pintuan.base.wire.patterns import TEXT_PATTERN
from pintuan.base.wire.times import Instant, moment
from pintuan.shop.catalog.limits import LISTED_IMAGES
from pintuan.shop.catalog.schemas import ID_CHARS_MAX, Title
from pintuan.shop.deals.limits import GROUP_TTL_SECONDS_MAX, LANES_MAX, PER_BUYER_UNITS_MAX, STOCK_UNITS_MAX
from pricing.currency import AMOUNT_MINOR_MAX
from pricing.ladder import HEADCOUNT_MAX, TIERS_MAX

DealStatus = Literal["scheduled", "active", "paused", "ended"]
DealSort = Literal["newest", "ending_soon", "lowest_price", "biggest_discount"]

_LADDER_EXAMPLE = [{"headcount": 2, "unit_price": 900}, {"headcount": 5, "unit_price": 800}]


def _number(high: int, description: str, example: int) -> Meta:
    return Meta(
        description=description,
        examples=[example],
        extra_json_schema={"minimum": 1, "maximum": high},
    )


def _title(description: str) -> Meta:
    return Meta(description=description, examples=["Kettle"])


def _nudges() -> Meta:
    return Meta(
        description="Whether members of its groups get messages when a price is near, an hour is left, "
        "and when it has ended.",
        examples=[True],
    )


class NewTier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of a new ladder: from `headcount` buyers on, a unit costs `unit_price`."""

    headcount: Annotated[int, _number(HEADCOUNT_MAX, "Above that of the step before.", 2)]
    unit_price: Annotated[
        int,
        _number(
            AMOUNT_MINOR_MAX,
            "In minor units of the variant's currency; below that of the step before and the list price.",
            900,
        ),
    ]


class NewDeal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An offer on a variant of the merchant's own."""

    variant_id: Annotated[
        str,
        Meta(
            max_length=ID_CHARS_MAX,
            pattern=TEXT_PATTERN,
            description="What is offered.",
            examples=["var_0192f0c1a2b3"],
        ),
    ]
    title: Annotated[Title | None, _title("The product's title when left out.")] = None
    ladder: Annotated[
        list[NewTier],
        Meta(
            description="The price ladder: headcounts rise, prices fall, the first step is within reach of "
            "min_headcount and the last one of max_headcount.",
            examples=[_LADDER_EXAMPLE],
            extra_json_schema={"minItems": 1, "maxItems": TIERS_MAX},
        ),
    ]
    min_headcount: Annotated[int, _number(HEADCOUNT_MAX, "A group that closes with fewer fails.", 3)]
    max_headcount: Annotated[int, _number(HEADCOUNT_MAX, "A group is full with this many.", 10)]
    group_ttl_seconds: Annotated[
        int, _number(GROUP_TTL_SECONDS_MAX, "How long a group stays open, at most six days.", 86_400)
    ]
    starts_at: Annotated[Instant | None, moment("When joining begins; now when left out.")] = None
    ends_at: Annotated[
        Instant | None, moment("When joining ends; never when left out.", "2030-02-01T12:00:00Z")
    ] = None
    stock: Annotated[int, _number(STOCK_UNITS_MAX, "Units for sale.", 1000)]
    per_buyer_units: Annotated[
        int, _number(PER_BUYER_UNITS_MAX, "Units one buyer may have, over all groups.", 5)
    ]
    new_cards_per_group: Annotated[
        int | None,
        Meta(
            description="Seats of one group that cards may have which never paid the merchant, 0 for none; "
            "any number when left out. A further card is declined as `new_card_limit`.",
            examples=[2],
            extra_json_schema={"minimum": 0, "maximum": HEADCOUNT_MAX},
        ),
    ] = None
    lanes: Annotated[
        int, _number(LANES_MAX, "Shards the stock is split over; more than one for a flash sale.", 1)
    ] = 1
    nudges: Annotated[bool, _nudges()] = True


class DealChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The changes to a deal; fields left out stay."""

    title: Annotated[Title | UnsetType, _title("Shown to shoppers.")] = UNSET
    ends_at: Annotated[
        Instant | UnsetType | None,
        moment("When joining ends; null for never. Open groups keep theirs.", "2030-03-01T12:00:00Z"),
    ] = UNSET
    stock: Annotated[
        int | UnsetType,
        _number(STOCK_UNITS_MAX, "The new total of units, sold ones included; never less.", 2000),
    ] = UNSET
    nudges: Annotated[bool | UnsetType, _nudges()] = UNSET


class Tier(msgspec.Struct, frozen=True):
    """A step of a ladder."""

    headcount: Annotated[int, Meta(description="Buyers from which on the price holds.", examples=[2])]
    unit_price: Annotated[Money, Meta(description="Price of one unit.")]


class DealProduct(msgspec.Struct, frozen=True, kw_only=True):
    """The product as shown beside a deal."""

    title: Annotated[str, Meta(description="The product's.", examples=["Kettle"])]
    images: Annotated[
        list[str],
        Meta(
            description=f"The product's, the best one first; in lists the first {LISTED_IMAGES}.",
            examples=[["https://img.example/kettle.jpg"]],
        ),
    ]


class DealVariant(msgspec.Struct, frozen=True, kw_only=True):
    """The variant as shown beside a deal."""

    sku: Annotated[str, Meta(description="The merchant's own article number.", examples=["KETTLE-RED"])]
    title: Annotated[str, Meta(description="What tells it from its siblings.", examples=["Red"])]
    options: Annotated[
        dict[str, str], Meta(description="Its value of each option.", examples=[{"Color": "Red"}])
    ]
    images: Annotated[
        list[str],
        Meta(
            description=f"Its own, if it has any; in lists the first {LISTED_IMAGES}.",
            examples=[["https://img.example/kettle-red.jpg"]],
        ),
    ]


class Deal(msgspec.Struct, frozen=True, kw_only=True):
    """An offer on one variant."""

    id: Annotated[str, Meta(description="Names the deal.", examples=["deal_0192f0c1a2b3"])]
    merchant_id: Annotated[str, Meta(description="Who sells.", examples=["teahouse"])]
    product_id: Annotated[str, Meta(description="The product.", examples=["prd_0192f0c1a2b3"])]
    variant_id: Annotated[str, Meta(description="What is offered.", examples=["var_0192f0c1a2b3"])]
    title: Annotated[str, Meta(description="Shown to shoppers.", examples=["Kettle"])]
    status: Annotated[
        DealStatus,
        Meta(
            description="`scheduled` before starts_at, `ended` after ends_at or for good.",
            examples=["active"],
        ),
    ]
    currency: Annotated[str, Meta(description="ISO 4217 code of all prices.", examples=["USD"])]
    product: DealProduct
    variant: DealVariant
    list_price: Annotated[Money, Meta(description="What one unit costs without a group.")]
    starting_price: Annotated[Money, Meta(description="What the first buyer of a group is promised.")]
    lowest_price: Annotated[Money, Meta(description="The price of the last step of the ladder.")]
    ladder: Annotated[list[Tier], Meta(description="The price ladder, highest price first.")]
    min_headcount: Annotated[int, Meta(description="A group that closes with fewer fails.", examples=[3])]
    max_headcount: Annotated[int, Meta(description="A group is full with this many.", examples=[10])]
    group_ttl_seconds: Annotated[int, Meta(description="How long a group stays open.", examples=[86400])]
    starts_at: Annotated[datetime, moment("When joining begins.")]
    ends_at: Annotated[
        datetime | None,
        moment("When joining ends; null for never.", "2030-02-01T12:00:00Z"),
    ]
    stock: Annotated[int, Meta(description="Units for sale, sold ones included.", examples=[1000])]
    sold: Annotated[int, Meta(description="Units in live orders.", examples=[12])]
    per_buyer_units: Annotated[int, Meta(description="Units one buyer may have.", examples=[5])]
    new_cards_per_group: Annotated[
        int | None,
        Meta(
            description="Seats of one group that cards may have which never paid the merchant; null for any "
            "number.",
            examples=[2],
        ),
    ]
    lanes: Annotated[int, Meta(description="Shards the stock is split over.", examples=[1])]
    nudges: Annotated[bool, _nudges()]
    created_at: Annotated[datetime, moment("When it was made.")]
    offer_id: Annotated[
        str,
        Meta(
            description="Names what the deal offers now: its words and pictures, not its prices. An order "
            "that carries it is refused once they have changed.",
            examples=["9f86d081884c7d659a2feaa0c55ad015"],
        ),
    ]


class DealFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deals to list, and in which order; what is None does not matter.

    `price_max` bounds the lowest price, in minor units.
    """

    q: str | None = None
    merchant_id: str | None = None
    product_id: str | None = None
    variant_id: str | None = None
    status: DealStatus | None = None
    currency: str | None = None
    price_max: int | None = None
    sort: DealSort = "newest"
