"""Products and variants in Postgres, one typed function per statement."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from pintuan.catalog.schemas import NewProduct, Product
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from pintuan.pagination import Cursor

PRODUCTS = load_queries("products")


async def insert_product(
    pool: asyncpg.Pool,
    *,
    product_id: str,
    merchant_id: str,
    product: NewProduct,
    variant_ids: list[str],
) -> datetime:
    """Adds a product with its variants, whose ids come in their order; returns when it was added."""
    created_at: datetime = await pool.fetchval(
        PRODUCTS["insert_product"],
        product_id,
        merchant_id,
        product.title,
        product.description,
        product.images,
        variant_ids,
        [variant.sku for variant in product.variants],
        [variant.title for variant in product.variants],
        [variant.list_price.amount for variant in product.variants],
        [variant.list_price.currency for variant in product.variants],
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


def _product_of(row: asyncpg.Record) -> Product:
    return msgspec.convert(dict(row), Product)
