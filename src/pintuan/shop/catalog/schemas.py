"""Products on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pintuan.base.wire.money import Currency, Money
from pintuan.base.wire.patterns import IMAGE_URL_PATTERN, LINE_PATTERN, TEXT_PATTERN
from pintuan.base.wire.times import moment
from pintuan.shop.catalog.limits import (
    ATTRIBUTE_NAME_CHARS_MAX,
    ATTRIBUTE_VALUE_CHARS_MAX,
    ATTRIBUTES_MAX,
    DESCRIPTION_CHARS_MAX,
    IMAGE_URL_CHARS_MAX,
    IMAGES_MAX,
    LISTED_IMAGES,
    OPTION_NAME_CHARS_MAX,
    OPTION_VALUE_CHARS_MAX,
    OPTIONS_MAX,
    REQUEST_VARIANTS_MAX,
    SKU_CHARS_MAX,
    TITLE_CHARS_MAX,
    VARIANT_IMAGES_MAX,
)
from pricing.currency import AMOUNT_MINOR_MAX

ID_CHARS_MAX = 64

Visibility: TypeAlias = Literal["public", "hidden"]

Title = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=TITLE_CHARS_MAX,
        pattern=LINE_PATTERN,
        description="Shown to shoppers.",
        examples=["Kettle"],
    ),
]
ImageAddress = Annotated[
    str,
    Meta(
        max_length=IMAGE_URL_CHARS_MAX,
        pattern=IMAGE_URL_PATTERN,
        description="An http or https address.",
        examples=["https://img.example/kettle.jpg"],
    ),
]


_OptionName = Annotated[str, Meta(min_length=1, max_length=OPTION_NAME_CHARS_MAX, pattern=LINE_PATTERN)]
_OptionValue = Annotated[str, Meta(min_length=1, max_length=OPTION_VALUE_CHARS_MAX, pattern=LINE_PATTERN)]
_AttributeName = Annotated[str, Meta(min_length=1, max_length=ATTRIBUTE_NAME_CHARS_MAX, pattern=LINE_PATTERN)]
_AttributeValue = Annotated[str, Meta(max_length=ATTRIBUTE_VALUE_CHARS_MAX, pattern=TEXT_PATTERN)]
Options = Annotated[
    dict[_OptionName, _OptionValue],
    Meta(
        max_length=OPTIONS_MAX,
        description="What tells the variant from its siblings, by the option's name.",
        examples=[{"Color": "Red"}],
    ),
]
Attributes = Annotated[
    dict[_AttributeName, _AttributeValue],
    Meta(
        max_length=ATTRIBUTES_MAX,
        description="What else is known of it, such as brand, barcode or tags.",
        examples=[{"brand": "Harbour & Rye"}],
    ),
]
Images = Annotated[
    list[ImageAddress],
    Meta(
        max_length=IMAGES_MAX,
        description="Addresses of pictures, the best one first.",
        examples=[["https://img.example/kettle.jpg"]],
    ),
]
VariantImages = Annotated[
    list[ImageAddress],
    Meta(
        max_length=VARIANT_IMAGES_MAX,
        description="Its own pictures, the best one first.",
        examples=[["https://img.example/red.jpg"]],
    ),
]
Description = Annotated[
    str,
    Meta(
        max_length=DESCRIPTION_CHARS_MAX,
        pattern=TEXT_PATTERN,
        description="Plain text.",
        examples=["Boils a litre in three minutes."],
    ),
]


class ListPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The price of one unit without a group."""

    amount: Annotated[
        int, Meta(ge=1, le=AMOUNT_MINOR_MAX, description="Amount in minor units.", examples=[1999])
    ]
    currency: Currency


class NewVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sellable form of a new product."""

    sku: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=SKU_CHARS_MAX,
            pattern=LINE_PATTERN,
            description="The merchant's own article number; unique within the product.",
            examples=["KETTLE-RED"],
        ),
    ]
    title: Title
    list_price: ListPrice
    options: Options = {}
    images: VariantImages = []
    attributes: Attributes = {}


class NewProduct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product to be offered."""

    title: Title
    variants: Annotated[
        list[NewVariant],
        Meta(
            min_length=1,
            max_length=REQUEST_VARIANTS_MAX,
            description="The sellable forms, in the order they are shown.",
            examples=[
                [
                    {
                        "sku": "KETTLE-RED",
                        "title": "Red",
                        "list_price": {"amount": 1999, "currency": "USD"},
                    }
                ]
            ],
        ),
    ]
    description: Description = ""
    images: Images = []


class VariantChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The changes to a variant; fields left out stay, and its SKU always does."""

    id: Annotated[
        str,
        Meta(
            max_length=ID_CHARS_MAX,
            pattern=TEXT_PATTERN,
            description="A variant of the product.",
            examples=["var_0192f0c1a2b3"],
        ),
    ]
    title: Title | UnsetType = UNSET
    list_price: Annotated[
        ListPrice | UnsetType,
        Meta(description="For deals to come; a deal keeps the one it was made at."),
    ] = UNSET
    options: Options | UnsetType = UNSET
    images: VariantImages | UnsetType = UNSET
    attributes: Attributes | UnsetType = UNSET


class ProductChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The changes to a product; fields left out stay."""

    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    images: Images | UnsetType = UNSET
    variants: Annotated[
        list[VariantChange],
        Meta(
            max_length=REQUEST_VARIANTS_MAX,
            description="Changes of variants it has.",
            examples=[[{"id": "var_0192f0c1a2b3", "list_price": {"amount": 1899, "currency": "USD"}}]],
        ),
    ] = []
    new_variants: Annotated[
        list[NewVariant],
        Meta(
            max_length=REQUEST_VARIANTS_MAX,
            description="Variants to add behind those it has.",
            examples=[
                [{"sku": "KETTLE-BLUE", "title": "Blue", "list_price": {"amount": 2099, "currency": "USD"}}]
            ],
        ),
    ] = []


class Option(msgspec.Struct, frozen=True):
    """The options by which shoppers choose a variant."""

    name: Annotated[str, Meta(description="What is chosen.", examples=["Color"])]
    values: Annotated[
        list[str], Meta(description="The values its variants have.", examples=[["Red", "Blue"]])
    ]


class Variant(msgspec.Struct, frozen=True):
    """One sellable form of a product."""

    id: Annotated[str, Meta(description="Names the variant in a deal.", examples=["var_0192f0c1a2b3"])]
    sku: Annotated[str, Meta(description="The merchant's own article number.", examples=["KETTLE-RED"])]
    title: Annotated[str, Meta(description="What tells it from its siblings.", examples=["Red"])]
    list_price: Annotated[Money, Meta(description="What one unit costs without a group.")]
    options: Annotated[
        dict[str, str],
        Meta(description="Its value of each option of the product.", examples=[{"Color": "Red"}]),
    ]
    images: Annotated[
        list[str],
        Meta(
            description=f"Its own pictures, if it has any; in lists the first {LISTED_IMAGES}.",
            examples=[["https://img.example/red.jpg"]],
        ),
    ]
    attributes: Annotated[
        dict[str, str], Meta(description="What else is known of it.", examples=[{"brand": "Harbour & Rye"}])
    ]


class Product(msgspec.Struct, frozen=True):
    """A product with its variants."""

    id: Annotated[str, Meta(description="Names the product.", examples=["prd_0192f0c1a2b3"])]
    merchant_id: Annotated[str, Meta(description="Who sells it.", examples=["teahouse"])]
    title: Annotated[str, Meta(description="Shown to shoppers.", examples=["Kettle"])]
    description: Annotated[str, Meta(description="Plain text.", examples=["Boils a litre."])]
    images: Annotated[
        list[str],
        Meta(
            description=f"Addresses of pictures, the best one first; in lists the first {LISTED_IMAGES}.",
            examples=[["https://img.example/kettle.jpg"]],
        ),
    ]
    options: Annotated[
        list[Option], Meta(description="What its variants differ by; empty when there is nothing to choose.")
    ]
    variants: Annotated[list[Variant], Meta(description="The sellable forms, in the order they are shown.")]
    created_at: Annotated[datetime, moment("When it was added.")]
    visibility: Annotated[
        Visibility,
        Meta(
            description="`hidden` for a draft of a feed, which nobody but its merchant finds.",
            examples=["public"],
        ),
    ] = "public"


class ProductFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which products to list; what is None does not matter. Prices are in minor units, ends included."""

    q: str | None = None
    merchant_id: str | None = None
    currency: str | None = None
    price_min: int | None = None
    price_max: int | None = None
    on_deal: bool | None = None
