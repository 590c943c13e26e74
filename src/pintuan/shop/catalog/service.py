"""Merchants' calls about products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from groups.ids import new_id
from pintuan.base.errors import FieldError, InvalidInput, NotFound
from pintuan.people.activity.changes import made
from pintuan.people.activity.log import note
from pintuan.shop.catalog import store
from pintuan.shop.catalog.limits import PRODUCT_BYTES_MAX
from pintuan.shop.catalog.schemas import ListPrice, NewProduct, NewVariant, Product
from pricing.currency import UnknownCurrency, exponent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import asyncpg

    from pintuan.base.auth import Principal
    from pintuan.base.wire.cursors import KeyCursor
    from pintuan.shop.catalog.schemas import ProductFilter


async def create_product(pool: asyncpg.Pool, merchant_id: str, product: NewProduct) -> Product:
    """Adds a product; its variants keep the order of the request.

    Raises `InvalidInput` when two variants share a SKU, a currency is none, or the product is too large.
    """
    errors = list(variant_problems(product.variants, "variants"))
    if errors:
        raise InvalidInput(errors)
    product_id, variants = new_id("prd"), store.rows_of(product.variants)
    async with pool.acquire() as connection, connection.transaction():
        created_at = await store.insert_product(
            connection, product_id=product_id, merchant_id=merchant_id, product=product, variants=variants
        )
        if await store.measure_product(connection, product_id) > PRODUCT_BYTES_MAX:
            raise InvalidInput([too_large(product)])
        changes = made(title=product.title, variants=[variant.sku for variant in variants])
        await note(connection, merchant_id, [product_id], changes)
    return store.product_of(
        product_id=product_id,
        merchant_id=merchant_id,
        title=product.title,
        description=product.description,
        images=product.images,
        variants=variants,
        created_at=created_at,
    )


async def get_product(pool: asyncpg.Pool, product_id: str) -> Product:
    """Returns the product, a hidden one too; raises `NotFound`."""
    product = await store.select_product(pool, product_id)
    if product is None:
        raise NotFound("product")
    return product


async def show_product(pool: asyncpg.Pool, product_id: str, viewer: Principal | None) -> Product:
    """Returns the product; raises `NotFound` where there is none that the viewer is shown."""
    product = await get_product(pool, product_id)
    if product.visibility == "hidden" and not sees_hidden(viewer, product.merchant_id):
        raise NotFound("product")
    return product


async def list_products(
    pool: asyncpg.Pool,
    wanted: ProductFilter,
    viewer: Principal | None,
    *,
    after: KeyCursor | None,
    limit: int,
) -> store.ListedProducts:
    """Returns up to `limit` products, newest first, from just behind `after`; fewer where they are long.

    Hidden ones are among them where the viewer asks for their own.
    """
    with_hidden = sees_hidden(viewer, wanted.merchant_id)
    return await store.list_products(pool, wanted, after=after, limit=limit, with_hidden=with_hidden)


def sees_hidden(viewer: Principal | None, merchant_id: str | None) -> bool:
    """Says whether a viewer is shown a merchant's hidden products; with None, any merchant's."""
    if viewer is None:
        return False
    return viewer.role == "admin" or (viewer.role == "merchant" and viewer.subject == merchant_id)


def too_large(given: msgspec.Struct) -> FieldError:
    """Returns what is said of a product that is too large, at the field that is most of what was given."""
    sizes = {name: len(msgspec.json.encode(value)) for name, value in msgspec.to_builtins(given).items()}
    return FieldError(
        max(sizes, key=sizes.__getitem__),
        f"makes the product, with its variants, larger than {PRODUCT_BYTES_MAX} bytes",
    )


def currency_problems(price: ListPrice, field: str) -> Iterator[FieldError]:
    """Yields what is wrong with the currency of the price in `field`."""
    try:
        exponent(price.currency)
    except UnknownCurrency as error:
        yield FieldError(f"{field}.currency", str(error))


def variant_problems(
    variants: Sequence[NewVariant], field: str, *, taken: Collection[str] = ()
) -> Iterator[FieldError]:
    """Yields what is wrong with new variants, beside those whose SKUs are taken; `field` names the list."""
    first_with_sku: dict[str, int] = {}
    for index, variant in enumerate(variants):
        first = first_with_sku.setdefault(variant.sku, index)
        if first != index:
            yield FieldError(f"{field}[{index}].sku", f"is that of {field}[{first}] already")
        elif variant.sku in taken:
            yield FieldError(f"{field}[{index}].sku", "is that of another variant of the product")
        yield from currency_problems(variant.list_price, f"{field}[{index}].list_price")
