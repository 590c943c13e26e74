"""Products and variants in Postgres, one typed function per statement."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from groups.ids import new_id
from pintuan.catalog.schemas import NewProduct, NewVariant, Option, Product, Variant
from pintuan.money import Money
from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from pintuan.pagination import Cursor

PRODUCTS = load_queries("products")


class VariantRow(msgspec.Struct, frozen=True):
    """A variant as the database holds it; `options` are names and values in the merchant's order."""

    id: str
    sku: str
    title: str
    list_price_minor: int
    currency: str
    options: list[tuple[str, str]]
    images: list[str]
    attributes: dict[str, str]
    ordinal: int = 0


def rows_of(variants: Sequence[NewVariant]) -> list[VariantRow]:
    """Returns new variants as rows to insert, with fresh ids, in their order."""
    return [
        VariantRow(
            id=new_id("var"),
            sku=variant.sku,
            title=variant.title,
            list_price_minor=variant.list_price.amount,
            currency=variant.list_price.currency,
            options=list(variant.options.items()),
            images=variant.images,
            attributes=variant.attributes,
            ordinal=ordinal,
        )
        for ordinal, variant in enumerate(variants, start=1)
    ]


async def insert_product(
    pool: asyncpg.Pool, *, product_id: str, merchant_id: str, product: NewProduct, variants: list[VariantRow]
) -> datetime:
    """Adds a product with its variants; returns when it was added."""
    created_at: datetime = await pool.fetchval(
        PRODUCTS["insert_product"],
        product_id,
        merchant_id,
        product.title,
        product.description,
        product.images,
        variants,
    )
    return created_at


async def select_product(pool: asyncpg.Pool, product_id: str) -> Product | None:
    """Returns the product, or None when no product has this id."""
    row = await pool.fetchrow(PRODUCTS["select_product"], product_id)
    return None if row is None else _product_of(row)


async def list_products(pool: asyncpg.Pool, *, after: Cursor | None, limit: int) -> list[Product]:
    """Returns up to `limit` products, newest first, from just behind `after`."""
    created_at, product_id = (after.created_at, after.id) if after else (None, None)
    rows = await pool.fetch(PRODUCTS["list_products"], created_at, product_id, limit)
    return [_product_of(row) for row in rows]


def product_of(
    *,
    id: str,  # noqa: A002 - the column is called so.
    merchant_id: str,
    title: str,
    description: str,
    images: list[str],
    variants: Sequence[VariantRow],
    created_at: datetime,
) -> Product:
    """Returns a product as it is shown; its options are those of its variants."""
    options: dict[str, dict[str, None]] = {}
    for variant in variants:
        for name, value in variant.options:
            options.setdefault(name, {})[value] = None
    return Product(
        id=id,
        merchant_id=merchant_id,
        title=title,
        description=description,
        images=images,
        options=[Option(name, list(values)) for name, values in options.items()],
        variants=[
            Variant(
                id=variant.id,
                sku=variant.sku,
                title=variant.title,
                list_price=Money(variant.list_price_minor, variant.currency),
                options=dict(variant.options),
                images=variant.images,
                attributes=variant.attributes,
            )
            for variant in variants
        ],
        created_at=created_at,
    )


def _product_of(row: asyncpg.Record) -> Product:
    return product_of(**{**row, "variants": msgspec.convert(row["variants"], list[VariantRow])})
