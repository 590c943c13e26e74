"""A deal is sold to the end through the typed client alone, on a marketplace with all its processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from pintuan.buying.groups.schemas import Group, Order
from pintuan.buying.orders.schemas import NewOrder
from pintuan.client import Pintuan, ProblemError, every, open_client
from pintuan.people.api_keys.schemas import NewApiKey
from pintuan.shop.catalog.schemas import ListPrice, NewProduct, NewVariant
from pintuan.shop.deals.schemas import Deal, NewDeal, NewTier
from tests.marketplace import Running, Site

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

END_S_MAX = 60.0
SHOPPERS = ("ann@example.com", "bea@example.com", "cem@example.com")
WISH = NewOrder(payment_method="pm_ok", ship_to={"city": "Lyon"})


async def test_a_deal_is_sold_from_signing_in_to_the_books(site: Site) -> None:
    running = await site.up("--api-workers", "2", "--workers", "1")
    (token,) = await site.tokens("merchant", "teahouse")
    async with AsyncExitStack() as stack:
        merchant = await stack.enter_async_context(open_client(running.url, token=token))
        ann, bea, cem = [await stack.enter_async_context(signed_in(running, name)) for name in SHOPPERS]
        deal = await offer(merchant)
        opened = await ann.open_group(deal.id, WISH)
        assert opened.group is not None
        watching = asyncio.create_task(followed(ann, opened.group.id))
        shared = await bea.get_shared_group(opened.group.share_code)
        await bea.join_group(shared.id, WISH)
        await cem.join_deal(deal.id, WISH, key="once")
        again = await cem.join_deal(deal.id, WISH, key="once")
        seen = await watching

        assert [seen[-1].status, seen[-1].headcount] == ["succeeded", 3]
        assert [group.headcount for group in seen] == sorted(group.headcount for group in seen)
        assert seen[-1].final_unit_price is not None
        orders = [await only_order(buyer) for buyer in (ann, bea, cem)]
        assert orders[2].id == again.id
        for order in orders:
            assert (order.status, order.payment.status) == ("captured", "captured")
            assert order.charged_unit_price == seen[-1].final_unit_price
            assert order.charged_unit_price.amount == 800
        await the_merchant_knows(merchant, deal, orders)
        await ann_goes(ann)
    await site.assert_sound()


@asynccontextmanager
async def signed_in(running: Running, email: str) -> AsyncIterator[Pintuan]:
    """A client of somebody who has just signed in by the code that was sent to them."""
    async with open_client(running.url) as pintuan:
        await pintuan.send_code(email=email)
        # What a developer reads in the outbox; the client has no call for it, for nobody else has one.
        async with httpx.AsyncClient(base_url=running.url, trust_env=False) as browser:
            answer = await browser.get(
                "/dev/outbox", params={"to": email}, headers={"Accept": "application/json"}
            )
        await pintuan.sign_in(answer.json()["items"][0]["code"], email=email)
        assert (await pintuan.get_me()).email == email
        yield pintuan


async def offer(merchant: Pintuan) -> Deal:
    variant = NewVariant("tea", "Tea", ListPrice(1000, "USD"))
    product = await merchant.create_product(NewProduct("Tea", [variant]))
    return await merchant.create_deal(
        NewDeal(
            variant_id=product.variants[0].id,
            ladder=[NewTier(2, 900), NewTier(3, 800)],
            min_headcount=2,
            max_headcount=3,
            group_ttl_seconds=600,
            stock=10,
            per_buyer_units=2,
        )
    )


async def followed(pintuan: Pintuan, group_id: str) -> list[Group]:
    """Every state that was told until the group had ended."""
    async with asyncio.timeout(END_S_MAX):
        return [group async for group in pintuan.watch_group(group_id)]


async def only_order(buyer: Pintuan) -> Order:
    orders = [order async for order in every(buyer.list_orders)]
    assert len(orders) == 1
    return await buyer.get_order(orders[0].id)


async def the_merchant_knows(merchant: Pintuan, deal: Deal, orders: list[Order]) -> None:
    """What was sold, told to a program of the merchant that calls with an API key."""
    made = await merchant.create_api_key(NewApiKey("warehouse"))
    warehouse = merchant.calling_as(made.key)
    sales = [sale async for sale in every(warehouse.list_sales, deal_id=deal.id)]
    assert {sale.id for sale in sales} == {order.id for order in orders}
    assert [group.status async for group in every(warehouse.list_sold_groups)] == ["succeeded"]
    exported = await warehouse.export_sales(deal_id=deal.id)
    assert all(order.id.encode() in exported.content for order in orders)
    assert (await warehouse.get_deal(deal.id)).sold == len(orders)


async def ann_goes(ann: Pintuan) -> None:
    """Reads what is kept about her, and has it erased."""
    assert len((await ann.export_me()).orders) == 1
    await ann.erase_me()
    with pytest.raises(ProblemError) as refused:
        await ann.get_me()
    assert refused.value.code == "unauthenticated"
