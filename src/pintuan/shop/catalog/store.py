"""Products and variants in Postgres, one typed function per statement."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from groups.ids import new_id
from pintuan.base.wire.money import Money
from pintuan.http.pagination import PAGE_BYTES_MAX
from pintuan.shop.catalog.schemas import NewProduct, NewVariant, Option, Product, Variant, Visibility
from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from pintuan.base.wire.cursors import KeyCursor
    from pintuan.shop.catalog.schemas import ProductFilter
    from sql import Connection


PRODUCTS = load_queries(__package__, "products")


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


class ListedProducts(NamedTuple):
    """Products of a list with their keys; `is_cut` where more were asked for that come behind them."""

    rows: list[tuple[int, Product]]
    is_cut: bool


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
    connection: Connection,
    *,
    product_id: str,
    merchant_id: str,
    product: NewProduct,
    variants: list[VariantRow],
) -> datetime:
    """Adds a product with its variants; returns when it was added."""
    created_at: datetime = await connection.fetchval(
        PRODUCTS["insert_product"],
        product_id,
        merchant_id,
        product.title,
        product.description,
        product.images,
        variants,
    )
    return created_at


async def select_product(connection: asyncpg.Pool | Connection, product_id: str) -> Product | None:
    """Returns the product, or None when no product has this id."""
    row = await connection.fetchrow(PRODUCTS["select_product"], product_id)
    return None if row is None else _product_of(row)


async def measure_product(connection: Connection, product_id: str) -> int:
    """Returns how many bytes the product comes to with its variants; 0 when no product has this id."""
    return await connection.fetchval(PRODUCTS["measure_product"], product_id) or 0


async def update_product(
    connection: Connection, product_id: str, *, title: str, description: str, images: list[str]
) -> None:
    """Writes what a merchant may change of a product."""
    await connection.execute(PRODUCTS["update_product"], product_id, title, description, images)


async def insert_variants(connection: Connection, product_id: str, variants: list[VariantRow]) -> None:
    """Adds variants behind those the product has."""
    await connection.execute(PRODUCTS["insert_variants"], product_id, variants)


async def update_variants(connection: Connection, product_id: str, variants: list[VariantRow]) -> None:
    """Writes what a merchant may change of the product's variants."""
    await connection.execute(PRODUCTS["update_variants"], product_id, variants)


async def list_products(
    pool: asyncpg.Pool, wanted: ProductFilter, *, after: KeyCursor | None, limit: int, with_hidden: bool
) -> ListedProducts:
    """Returns up to `limit` products, newest first, from just behind `after`.

    There are fewer where they have `PAGE_BYTES_MAX` before, so that none is read that the page does not show.
    """
    rows = await pool.fetch(
        PRODUCTS["list_products"],
        wanted.q,
        wanted.merchant_id,
        wanted.currency,
        wanted.price_min,
        wanted.price_max,
        wanted.on_deal,
        after.key if after else None,
        after.id if after else None,
        limit,
        with_hidden,
        PAGE_BYTES_MAX,
    )
    products = [(row["key"], _product_of(row)) for row in rows]
    return ListedProducts(products, is_cut=bool(rows) and rows[-1]["behind"] > 0)


def product_of(
    *,
    product_id: str,
    merchant_id: str,
    title: str,
    description: str,
    images: list[str],
    variants: Sequence[VariantRow],
    created_at: datetime,
    visibility: Visibility = "public",
) -> Product:
    """Returns a product as it is shown; its options are those of its variants."""
    options: dict[str, dict[str, None]] = {}
    for variant in variants:
        for name, value in variant.options:
            options.setdefault(name, {})[value] = None
    return Product(
        id=product_id,
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
        visibility=visibility,
    )


def _product_of(row: asyncpg.Record) -> Product:
    return product_of(
        product_id=row["id"],
        merchant_id=row["merchant_id"],
        title=row["title"],
        description=row["description"],
        images=row["images"],
        variants=msgspec.convert(row["variants"], list[VariantRow]),
        created_at=row["created_at"],
        visibility=row["visibility"],
    )
