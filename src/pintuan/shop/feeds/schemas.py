"""What came of an import, as merchants see it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class RefusedRow(msgspec.Struct, frozen=True):
    """A row of a feed that was not kept."""

    line: Annotated[int, Meta(description="Where it starts, counted from 1.", examples=[5])]
    reason: Annotated[str, Meta(description="Why.", examples=["has no price"])]


class Notice(msgspec.Struct, frozen=True):
    """What a row of a feed was kept without, or shortened by."""

    line: Annotated[int, Meta(description="Where the row starts, counted from 1.", examples=[7])]
    text: Annotated[
        str, Meta(description="What it was.", examples=["has title longer than 200 characters; it was cut"])
    ]


class ImportResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an import."""

    rows: Annotated[int, Meta(description="Rows read that are an item, kept or not.", examples=[1200])]
    products_added: Annotated[int, Meta(description="New products.", examples=[300])]
    products_changed: Annotated[int, Meta(description="Products that differ now.", examples=[2])]
    products_hidden: Annotated[
        int,
        Meta(
            description="Products that shoppers are not shown: the feed calls them drafts, archived or "
            "unpublished.",
            examples=[1],
        ),
    ]
    variants_added: Annotated[int, Meta(description="New variants.", examples=[1190])]
    variants_changed: Annotated[int, Meta(description="Variants that differ now.", examples=[5])]
    variants_unchanged: Annotated[int, Meta(description="Variants that were there already.", examples=[4])]
    refused: Annotated[list[RefusedRow], Meta(description="The first rows that were not kept, up to 100.")]
    refused_count: Annotated[int, Meta(description="How many rows were not kept in all.", examples=[1])]
    notices: Annotated[
        list[Notice], Meta(description="What rows were kept without, such as an unusable picture, up to 100.")
    ]
    notices_count: Annotated[int, Meta(description="How many notices there are in all.", examples=[1])]
    currency_assumed: Annotated[
        str | None,
        Meta(description="The currency of prices that named none; null when all did.", examples=["USD"]),
    ]
    stopped: Annotated[
        str | None,
        Meta(
            description="Where and why reading ended early; null when the feed was read to its end.",
            examples=[None],
        ),
    ]
