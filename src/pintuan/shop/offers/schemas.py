"""Offers on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from pintuan.base.wire.times import moment


def _digest(description: str) -> Meta:
    return Meta(
        description=description,
        examples=["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    )


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a deal offered at the time an order was placed; changes that came later are not in it.

    Named as schema.org does it: the `acceptedOffer` of an `Order`.
    """

    title: Annotated[str, Meta(description="The deal's title.", examples=["Kettle, spring sale"])]
    product_title: Annotated[str, Meta(description="The product's title.", examples=["Kettle"])]
    variant_title: Annotated[str, Meta(description="The variant's title.", examples=["Red"])]
    sku: Annotated[str, Meta(description="The merchant's own article number.", examples=["KETTLE-RED"])]
    options: Annotated[
        dict[str, str], Meta(description="The variant's value of each option.", examples=[{"Color": "Red"}])
    ]
    brand: Annotated[str | None, Meta(description="Its brand, where known.", examples=["Harbour & Rye"])]
    gtin: Annotated[str | None, Meta(description="Its barcode, where known.", examples=["4006381333931"])]
    description_sha256: Annotated[
        str, _digest("SHA-256 of the product's description in UTF-8, in hex. Says whether a text was it.")
    ]
    images_sha256: Annotated[
        str,
        _digest(
            "SHA-256 of the addresses of its pictures, one a line, those of the variant first; in hex. What "
            "an address showed is not kept."
        ),
    ]
    since: Annotated[
        datetime | None, moment("When the deal began to offer this; null for what it offered first.")
    ]
