"""Changes of one deal that meet in Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import msgspec
import pytest

from pintuan.base.auth import Principal
from pintuan.base.charging import GatewayRules
from pintuan.base.errors import InvalidInput
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.money.payments.sandbox.methods import SANDBOX_RULES
from pintuan.money.payments.stripe.rules import STRIPE_RULES
from pintuan.shop.catalog.schemas import ListPrice, NewProduct, NewVariant
from pintuan.shop.catalog.service import create_product
from pintuan.shop.deals.schemas import Deal, DealChange, NewDeal, NewTier
from pintuan.shop.deals.service import change_deal, create_deal, get_deal, set_deal_status
from tests.interleaving import holding

pytestmark = pytest.mark.anyio

MERCHANT = Principal("teahouse", "merchant")
A_WEEK_MS = 7 * 24 * 3_600_000
CHANGES = 16


def holding_money(lifetime_ms: int) -> GatewayRules:
    """A gateway that does so for that long."""
    return replace(SANDBOX_RULES, authorisation_lifetime_ms=lifetime_ms)


@pytest.fixture
async def app_pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool as the application opens it."""
    async with open_pool(Settings(database_url=database_url), size_max=8, application_name="tests") as pool:
        yield pool


@pytest.fixture
async def deal(app_pool: asyncpg.Pool) -> Deal:
    """A deal of 10 units in three lanes."""
    product = await create_product(
        app_pool,
        MERCHANT.subject,
        NewProduct(title="Kettle", variants=[NewVariant("K", "Red", ListPrice(1000, "USD"))]),
    )
    offer = offer_on(product.variants[0].id)
    return await create_deal(app_pool, MERCHANT, offer, rules=holding_money(A_WEEK_MS))


def offer_on(variant_id: str) -> NewDeal:
    return NewDeal(
        variant_id=variant_id,
        ladder=[NewTier(2, 900)],
        min_headcount=2,
        max_headcount=5,
        group_ttl_seconds=60,
        stock=10,
        per_buyer_units=5,
        lanes=3,
    )


async def test_the_lanes_stock_adds_up_to_the_deals_whatever_changes_meet(
    app_pool: asyncpg.Pool, deal: Deal
) -> None:
    async def raise_stock(total: int) -> None:
        try:
            await change_deal(app_pool, MERCHANT, deal.id, DealChange(stock=total))
        except InvalidInput:
            # A larger total was there before.
            return

    await asyncio.gather(*(raise_stock(deal.stock + n) for n in range(1, CHANGES + 1)))

    lanes = await app_pool.fetch("SELECT epoch, stock_units FROM lanes WHERE deal_id = $1", deal.id)
    assert sum(lane["stock_units"] for lane in lanes) == deal.stock + CHANGES
    assert (await get_deal(app_pool, deal.id)).stock == deal.stock + CHANGES
    assert len({lane["epoch"] for lane in lanes}) == 1


async def test_every_change_of_status_raises_the_epoch_of_every_lane_once(
    app_pool: asyncpg.Pool, deal: Deal
) -> None:
    async def toggle() -> None:
        await set_deal_status(app_pool, MERCHANT, deal.id, "paused")
        await set_deal_status(app_pool, MERCHANT, deal.id, "active")

    await toggle()
    await asyncio.gather(
        *(change_deal(app_pool, MERCHANT, deal.id, DealChange(title=f"Kettle {n}")) for n in range(CHANGES))
    )
    await toggle()

    lanes = await app_pool.fetch("SELECT epoch FROM lanes WHERE deal_id = $1", deal.id)
    assert [lane["epoch"] for lane in lanes] == [5, 5, 5]


async def test_a_group_must_be_charged_while_the_gateway_holds_the_money(
    app_pool: asyncpg.Pool, deal: Deal
) -> None:
    offer = offer_on(deal.variant_id)
    enough_ms = (offer.group_ttl_seconds + 310 + 300) * 1000
    await create_deal(app_pool, MERCHANT, offer, rules=holding_money(enough_ms))

    with pytest.raises(InvalidInput) as refused:
        await create_deal(app_pool, MERCHANT, offer, rules=holding_money(enough_ms - 1))
    (error,) = refused.value.errors
    assert error.field == "group_ttl_seconds"
    assert error.message == (
        "must be at most 59: the payment gateway holds money for 669 s, and after its lifetime a group may"
        " take 310 s to close and 300 s to be charged"
    )


async def test_a_change_waits_for_a_lane_in_use_and_then_applies(
    app_pool: asyncpg.Pool, database_url: str, deal: Deal
) -> None:
    sell = "UPDATE lanes SET sold_units = 1 WHERE deal_id = $1 AND lane_no = 1"
    async with holding(database_url, sell, deal.id) as joiner:
        change = asyncio.create_task(set_deal_status(app_pool, MERCHANT, deal.id, "paused"))
        await joiner.waiters(1)
        assert not change.done()
        await joiner.commit()
        paused = await change

    assert (paused.status, paused.sold) == ("paused", 1)


async def test_a_deal_made_while_an_import_moves_its_variant_is_on_the_product_it_moved_to(
    app_pool: asyncpg.Pool, database_url: str, deal: Deal
) -> None:
    await app_pool.execute(
        "INSERT INTO products (id, merchant_id, title) VALUES ('prd_new', $1, 'Tea set')", MERCHANT.subject
    )
    await app_pool.execute("DELETE FROM lanes")
    await app_pool.execute("DELETE FROM deals")
    move = "UPDATE variants SET product_id = 'prd_new' WHERE id = $1"
    async with holding(database_url, move, deal.variant_id) as importing:
        offer = offer_on(deal.variant_id)
        making = asyncio.create_task(create_deal(app_pool, MERCHANT, offer, rules=holding_money(A_WEEK_MS)))
        await importing.waiters(1)
        await importing.connection.execute("DELETE FROM products WHERE id = $1", deal.product_id)
        await importing.commit()
        made = await making

    assert (made.product_id, made.product.title, made.title) == ("prd_new", "Tea set", "Tea set")


@pytest.mark.parametrize(
    ("currency", "list_price", "prices", "refused"),
    [
        ("KWD", 10_000, (9_000, 8_000), []),
        ("KWD", 10_000, (9_005, 8_000), ["ladder[0].unit_price"]),
        ("KWD", 10_001, (9_000, 8_003), ["variant_id", "ladder[1].unit_price"]),
        ("UGX", 10_000, (9_000, 8_000), ["variant_id"]),
    ],
)
async def test_a_price_the_gateway_cannot_charge_is_never_promised(
    app_pool: asyncpg.Pool, currency: str, list_price: int, prices: tuple[int, int], refused: list[str]
) -> None:
    product = await create_product(
        app_pool,
        MERCHANT.subject,
        NewProduct(title="Kettle", variants=[NewVariant("K", "Red", ListPrice(list_price, currency))]),
    )
    ladder = [NewTier(headcount, price) for headcount, price in zip((2, 3), prices, strict=True)]
    offer = msgspec.structs.replace(offer_on(product.variants[0].id), ladder=ladder)

    found: list[str] = []
    try:
        await create_deal(app_pool, MERCHANT, offer, rules=STRIPE_RULES)
    except InvalidInput as error:
        found = [one.field for one in error.errors]
    assert found == refused
    # The sandbox charges anything.
    await create_deal(app_pool, MERCHANT, offer, rules=SANDBOX_RULES)
