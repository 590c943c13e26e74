"""What merchants do with products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groups.ids import new_id
from pintuan.catalog import store
from pintuan.catalog.schemas import NewProduct, Product
from pintuan.errors import FieldError, InvalidInput, NotFound
from pricing.currency import UnknownCurrency, exponent

if TYPE_CHECKING:
    import asyncpg

    from pintuan.pagination import Cursor


async def create_product(pool: asyncpg.Pool, merchant_id: str, product: NewProduct) -> Product:
    """Adds a product; its variants keep the order of the request.

    Raises `InvalidInput` when two variants share a SKU or a currency is none.
    """
    errors = _problems(product)
    if errors:
        raise InvalidInput(errors)
    product_id, variants = new_id("prd"), store.rows_of(product.variants)
    created_at = await store.insert_product(
        pool, product_id=product_id, merchant_id=merchant_id, product=product, variants=variants
    )
    return store.product_of(
        id=product_id,
        merchant_id=merchant_id,
        title=product.title,
        description=product.description,
        images=product.images,
        variants=variants,
        created_at=created_at,
    )


async def get_product(pool: asyncpg.Pool, product_id: str) -> Product:
    """Returns the product; raises `NotFound`."""
    product = await store.select_product(pool, product_id)
    if product is None:
        raise NotFound("product")
    return product


async def list_products(pool: asyncpg.Pool, *, after: Cursor | None, limit: int) -> list[Product]:
    """Returns up to `limit` products, newest first, from just behind `after`."""
    return await store.list_products(pool, after=after, limit=limit)


def _problems(product: NewProduct) -> list[FieldError]:
    errors: list[FieldError] = []
    first_with_sku: dict[str, int] = {}
    for index, variant in enumerate(product.variants):
        first = first_with_sku.setdefault(variant.sku, index)
        if first != index:
            errors.append(FieldError(f"variants[{index}].sku", f"is that of variants[{first}] already"))
        try:
            exponent(variant.list_price.currency)
        except UnknownCurrency as error:
            errors.append(FieldError(f"variants[{index}].list_price.currency", str(error)))
    return errors
