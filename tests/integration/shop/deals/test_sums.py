"""Deals that could not be summed are refused, and those that were let in before settle all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from groups.engine import GroupEngine
from pintuan.base.auth import Principal
from pintuan.base.errors import InvalidInput
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.money.payments.sandbox.methods import SANDBOX_RULES
from pintuan.shop.catalog.schemas import ListPrice, NewProduct, NewVariant
from pintuan.shop.catalog.service import create_product
from pintuan.shop.deals.limits import DEAL_MINOR_MAX, OFFERS_MINOR_MAX, PER_BUYER_UNITS_MAX
from pintuan.shop.deals.schemas import Deal, DealChange, NewDeal, NewTier
from pintuan.shop.deals.service import change_deal, create_deal
from pricing.currency import AMOUNT_MINOR_MAX, ORDER_MINOR_MAX
from tests.market import Market

pytestmark = pytest.mark.anyio

ACME = Principal("acme", "merchant")


@pytest.fixture
async def app_pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool as the application opens it."""
    settings = Settings(database_url=database_url)
    async with open_pool(settings, size_max=2, application_name="sums") as pool:
        yield pool


async def offer(pool: asyncpg.Pool, *, price: int, **changes: Any) -> Deal:
    product = await create_product(
        pool,
        ACME.subject,
        NewProduct(
            title="Tower", variants=[NewVariant(sku="T", title="One", list_price=ListPrice(price, "USD"))]
        ),
    )
    terms: dict[str, Any] = {
        "ladder": [NewTier(1, price - 1)],
        "min_headcount": 1,
        "max_headcount": 10,
        "group_ttl_seconds": 3600,
        "stock": 10,
        "per_buyer_units": 1,
        **changes,
    }
    deal = NewDeal(variant_id=product.variants[0].id, **terms)
    return await create_deal(pool, ACME, deal, rules=SANDBOX_RULES)


async def test_a_deal_whose_one_order_would_come_to_too_much_is_refused_with_the_bound(
    app_pool: asyncpg.Pool,
) -> None:
    units = ORDER_MINOR_MAX // AMOUNT_MINOR_MAX
    with pytest.raises(InvalidInput) as refused:
        await offer(app_pool, price=AMOUNT_MINOR_MAX, stock=10**6, per_buyer_units=units + 1)
    (error,) = refused.value.errors
    assert error.field == "per_buyer_units"
    assert f"at most {units}" in error.message
    assert str(ORDER_MINOR_MAX) in error.message
    deal = await offer(app_pool, price=AMOUNT_MINOR_MAX, stock=10**6, per_buyer_units=units)
    assert deal.per_buyer_units == units


async def test_a_stock_that_would_come_to_too_much_is_refused_at_the_deal_and_at_its_change(
    app_pool: asyncpg.Pool,
) -> None:
    units = DEAL_MINOR_MAX // AMOUNT_MINOR_MAX
    with pytest.raises(InvalidInput) as refused:
        await offer(app_pool, price=AMOUNT_MINOR_MAX, stock=units + 1)
    (error,) = refused.value.errors
    assert error.field == "stock"
    assert f"at most {units}" in error.message
    deal = await offer(app_pool, price=AMOUNT_MINOR_MAX, stock=units - 1)
    with pytest.raises(InvalidInput) as refused:
        await change_deal(app_pool, ACME, deal.id, DealChange(stock=units + 1))
    assert [error.field for error in refused.value.errors] == ["stock"]
    assert (await change_deal(app_pool, ACME, deal.id, DealChange(stock=units))).stock == units


async def test_all_deals_of_a_merchant_together_stay_within_what_an_account_can_hold(
    app_pool: asyncpg.Pool,
) -> None:
    units = DEAL_MINOR_MAX // AMOUNT_MINOR_MAX
    for _ in range(OFFERS_MINOR_MAX // DEAL_MINOR_MAX - 1):
        await offer(app_pool, price=AMOUNT_MINOR_MAX, stock=units)
    last = await offer(app_pool, price=AMOUNT_MINOR_MAX, stock=units - 1)
    with pytest.raises(InvalidInput) as refused:
        await offer(app_pool, price=AMOUNT_MINOR_MAX, stock=2)
    (error,) = refused.value.errors
    assert error.field == "stock"
    assert str(OFFERS_MINOR_MAX) in error.message
    # What the change adds counts, not what was there.
    assert (await change_deal(app_pool, ACME, last.id, DealChange(stock=units))).stock == units


async def test_an_ordinary_price_keeps_the_largest_limits(app_pool: asyncpg.Pool) -> None:
    deal = await offer(app_pool, price=10**6, stock=10**9, per_buyer_units=PER_BUYER_UNITS_MAX)
    assert deal.stock == 10**9


async def test_a_group_from_before_the_bound_whose_sum_leaves_64_bits_settles(
    market: Market, engine: GroupEngine
) -> None:
    price, quantity, heads = 10**12, 10**6, 12
    deal = await market.deal(
        list_price=price,
        ladder=((2, price - 1),),
        min_headcount=2,
        max_headcount=heads,
        stock=10**9,
        per_buyer=quantity,
    )
    orders = []
    for n in range(heads):
        placed = await engine.place(market.wish(f"buyer-{n}", deal=deal, quantity=quantity))
        orders.append(placed.order_id)
    await market.authorise(*orders)
    await engine.advance_due_groups(10)
    await market.end_operations("capture")
    await market.pass_settling()
    await engine.advance_due_groups(10)
    group = await market.group(await market.group_of(orders[0]))
    assert group["status"] == "succeeded"
    owed = await market.pool.fetchval(
        "SELECT -sum(balance_minor) FROM ledger_balances WHERE account = 'merchant_payable'"
    )
    assert int(owed) == heads * quantity * (price - 1) > 2**63
