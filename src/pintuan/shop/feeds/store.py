"""A feed's products and variants in Postgres, written in batches, one typed function per statement.

A product is known by (merchant, reference of its group in the feed), a variant by (merchant, reference of its
item), so that importing a feed again changes only what the feed changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pintuan.shop.catalog.schemas import Visibility
from pintuan.shop.feeds.renaming import NamedVariant
from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from sql import Connection


FEEDS = load_queries(__package__)


class FeedProduct(msgspec.Struct, frozen=True):
    """A product as a batch writes it; `id` counts only if the product is new."""

    id: str
    feed_ref: str
    title: str
    description: str
    images: list[str]
    visibility: Visibility


class FeedVariant(msgspec.Struct, frozen=True):
    """A variant as a batch writes it, the price in minor units; `id` counts only if the variant is new."""

    id: str
    product_id: str
    feed_ref: str
    sku: str
    title: str
    list_price_minor: int
    currency: str
    options: tuple[tuple[str, str], ...]
    images: tuple[str, ...]
    attributes: dict[str, str]
    ordinal: int


class FeedSku(msgspec.Struct, frozen=True):
    """A SKU that a batch is going to write, and for what."""

    group_ref: str
    feed_ref: str
    sku: str


class Written(NamedTuple):
    """How many rows of a batch were new and how many differed; the others were there already."""

    added: int
    changed: int


class StoredProduct(NamedTuple):
    """A product's id, and how many variants it has that are not in the batch."""

    id: str
    other_variants: int


async def upsert_products(
    connection: Connection, merchant_id: str, products: Sequence[FeedProduct]
) -> Written:
    """Adds or updates the products; their references must differ."""
    rows = await connection.fetch(FEEDS["upsert_feed_products"], merchant_id, products)
    return _written(rows)


async def settle_skus(connection: Connection, merchant_id: str, skus: Sequence[FeedSku]) -> None:
    """Makes each SKU free for its item, where a variant of the product has it that is not in the batch.

    If the item is new, that variant becomes it: its options were renamed. Otherwise it gets another SKU.
    """
    await connection.execute(FEEDS["adopt_feed_variants"], merchant_id, skus)
    await connection.execute(FEEDS["free_feed_skus"], merchant_id, skus)


async def count_variants(
    connection: Connection, merchant_id: str, group_refs: Sequence[str], item_refs: Sequence[str]
) -> dict[str, StoredProduct]:
    """Returns the products by their references, with the room that variants outside the batch take."""
    rows = await connection.fetch(FEEDS["count_feed_variants"], merchant_id, group_refs, item_refs)
    return {row["feed_ref"]: StoredProduct(row["id"], row["others"]) for row in rows}


async def measure_products(
    connection: Connection, merchant_id: str, group_refs: Sequence[str]
) -> dict[str, int]:
    """Returns how many bytes the products that are there come to with their variants, by their references."""
    rows = await connection.fetch(FEEDS["measure_feed_products"], merchant_id, group_refs)
    return {row["feed_ref"]: row["bytes"] for row in rows}


async def upsert_variants(
    connection: Connection, merchant_id: str, variants: Sequence[FeedVariant]
) -> Written:
    """Adds or updates the variants; their references must differ."""
    rows = await connection.fetch(FEEDS["upsert_feed_variants"], merchant_id, variants)
    return _written(rows)


async def select_offered_variants(
    connection: Connection, merchant_id: str, group_refs: Sequence[str], item_refs: Sequence[str]
) -> dict[str, NamedVariant]:
    """Returns those variants of the batch that are on offer or were sold, by id."""
    return _named(
        await connection.fetch(FEEDS["select_offered_variants"], merchant_id, group_refs, item_refs)
    )


async def select_named_variants(connection: Connection, ids: Sequence[str]) -> dict[str, NamedVariant]:
    """Returns the variants that exist, by id."""
    return _named(await connection.fetch(FEEDS["select_named_variants"], ids))


async def delete_emptied_products(pool: asyncpg.Pool, merchant_id: str) -> None:
    """Removes the merchant's imported products that no variant is left of and no deal offers."""
    await pool.execute(FEEDS["delete_emptied_feed_products"], merchant_id)


def _named(rows: Sequence[asyncpg.Record]) -> dict[str, NamedVariant]:
    return {
        row["id"]: NamedVariant(
            id=row["id"],
            product_title=row["product_title"],
            title=row["title"],
            sku=row["sku"],
            list_price=(row["list_price_minor"], row["currency"]),
        )
        for row in rows
    }


def _written(rows: Sequence[asyncpg.Record]) -> Written:
    added = sum(row["added"] for row in rows)
    return Written(added, len(rows) - added)
