"""A seller's changes of a product and its variants.

Imports and changes of one merchant take turns, so that what a change is judged by holds until it is written.
The list price is that of deals to come: a deal keeps the one it was made at, and so does its ladder.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from msgspec import UNSET, UnsetType

from pintuan.base.errors import FieldError, InvalidInput, NotFound
from pintuan.people.activity.changes import changed, made
from pintuan.people.activity.log import note
from pintuan.people.merchants.service import lock_merchant
from pintuan.shop.catalog import store
from pintuan.shop.catalog.limits import PRODUCT_BYTES_MAX, VARIANTS_MAX
from pintuan.shop.catalog.pace import count_change
from pintuan.shop.catalog.schemas import ListPrice, Product, ProductChange, Variant, VariantChange
from pintuan.shop.catalog.service import currency_problems, get_product, too_large, variant_problems
from sql.retry import retry_serialization

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.auth import Principal
    from pintuan.people.activity.changes import Changes
    from sql import Connection

T = TypeVar("T")


async def change_product(
    pool: asyncpg.Pool,
    principal: Principal,
    product_id: str,
    change: ProductChange,
    *,
    is_paced: bool = True,
) -> Product:
    """Changes what is given; the product's next import writes what the feed says over it.

    Raises `NotFound` when the product is not the merchant's own (an admin may change any), `InvalidInput`
    with all that is wrong, and where `is_paced` `RateLimited` as `count_change` does.
    """
    product = await get_product(pool, product_id)
    if principal.role != "admin" and principal.subject != product.merchant_id:
        raise NotFound("product")

    async def transaction() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await lock_merchant(connection, product.merchant_id)
            now = await store.select_product(connection, product_id)
            if now is None:
                raise NotFound("product")
            errors = list(_problems(change, now))
            if errors:
                raise InvalidInput(errors)
            if is_paced:
                await count_change(connection, now.merchant_id)
            before_bytes = await store.measure_product(connection, product_id)
            await _write(connection, now, change)
            after_bytes = await store.measure_product(connection, product_id)
            # A product kept before there was a bound may be changed, if only to make it smaller.
            if after_bytes > max(PRODUCT_BYTES_MAX, before_bytes):
                raise InvalidInput([too_large(change)])
            await note(connection, now.merchant_id, [product_id], _noted(now, change))

    await retry_serialization(transaction)
    return await get_product(pool, product_id)


def _noted(now: Product, change: ProductChange) -> Changes:
    """Returns what the log tells of a change: texts, and of variants, by their numbers, how they are sold."""
    before: dict[str, object] = {
        "title": now.title,
        "description": now.description,
        "images": len(now.images),
    }
    after: dict[str, object] = {
        "title": _or(change.title, now.title),
        "description": _or(change.description, now.description),
        "images": len(_or(change.images, now.images)),
    }
    changes = changed(before, after)
    variants = {variant.id: variant for variant in now.variants}
    for wanted in change.variants:
        variant = variants[wanted.id]
        as_it_was = _changed(variant, VariantChange(variant.id))
        changes |= changed(_named(as_it_was), _named(_changed(variant, wanted)))
    return changes | (made(variants=[new.sku for new in change.new_variants]) if change.new_variants else {})


def _named(variant: store.VariantRow) -> dict[str, object]:
    return {
        f"{variant.sku} title": variant.title,
        f"{variant.sku} options": dict(variant.options),
        f"{variant.sku} images": len(variant.images),
        f"{variant.sku} price": [variant.list_price_minor, variant.currency],
    }


async def _write(connection: Connection, product: Product, change: ProductChange) -> None:
    if (change.title, change.description, change.images) != (UNSET, UNSET, UNSET):
        await store.update_product(
            connection,
            product.id,
            title=_or(change.title, product.title),
            description=_or(change.description, product.description),
            images=_or(change.images, product.images),
        )
    if change.variants:
        variants = {variant.id: variant for variant in product.variants}
        changed = [_changed(variants[wanted.id], wanted) for wanted in change.variants]
        await store.update_variants(connection, product.id, changed)
    if change.new_variants:
        await store.insert_variants(connection, product.id, store.rows_of(change.new_variants))


def _changed(variant: Variant, change: VariantChange) -> store.VariantRow:
    price = _or(change.list_price, ListPrice(variant.list_price.amount, variant.list_price.currency))
    return store.VariantRow(
        id=variant.id,
        sku=variant.sku,
        title=_or(change.title, variant.title),
        list_price_minor=price.amount,
        currency=price.currency,
        options=list(_or(change.options, variant.options).items()),
        images=_or(change.images, variant.images),
        attributes=_or(change.attributes, variant.attributes),
    )


def _or(given: T | UnsetType, otherwise: T) -> T:
    return otherwise if isinstance(given, UnsetType) else given


def _problems(change: ProductChange, product: Product) -> Iterator[FieldError]:
    first_with_id: dict[str, int] = {}
    known = {variant.id for variant in product.variants}
    for index, variant in enumerate(change.variants):
        if variant.id not in known:
            yield FieldError(f"variants[{index}].id", "is no variant of the product")
        if first_with_id.setdefault(variant.id, index) != index:
            yield FieldError(
                f"variants[{index}].id", f"is that of variants[{first_with_id[variant.id]}] already"
            )
        if not isinstance(variant.list_price, UnsetType):
            yield from currency_problems(variant.list_price, f"variants[{index}].list_price")
    yield from variant_problems(
        change.new_variants, "new_variants", taken={variant.sku for variant in product.variants}
    )
    if len(known) + len(change.new_variants) > VARIANTS_MAX:
        yield FieldError("new_variants", f"would be more than the {VARIANTS_MAX} variants a product may have")
