"""A shop's real export comes in over HTTP, and one of its products is sold, by the typed client alone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from pintuan.buying.groups.schemas import Group
from pintuan.buying.orders.schemas import NewOrder
from pintuan.client import Pintuan, every, open_client
from pintuan.shop.catalog.schemas import Product
from pintuan.shop.deals.schemas import NewDeal, NewTier
from tests.marketplace import Site
from tests.sample_data import SHOPIFY_FILES, sample

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

END_S_MAX = 60.0
BUYERS = 3


@pytest.mark.parametrize("name", SHOPIFY_FILES)
async def test_a_product_of_a_real_export_is_sold_to_the_end(site: Site, name: str) -> None:
    feed = await asyncio.to_thread(sample, name)
    running = await site.up()
    async with AsyncExitStack() as stack:

        async def called_by(token: str) -> Pintuan:
            return await stack.enter_async_context(open_client(running.url, token=token))

        merchant = await called_by((await site.tokens("merchant", "shop"))[0])
        product = await imported(merchant, feed)
        variant = product.variants[-1]
        price = variant.list_price.amount
        deal = await merchant.create_deal(
            NewDeal(
                variant_id=variant.id,
                ladder=[NewTier(2, price * 9 // 10), NewTier(BUYERS, price * 8 // 10)],
                min_headcount=2,
                max_headcount=BUYERS,
                group_ttl_seconds=600,
                stock=BUYERS,
                per_buyer_units=1,
            )
        )
        assert (deal.product.title, deal.variant.options) == (product.title, variant.options)
        buyers = [await called_by(token) for token in await site.tokens("buyer", "shopper", count=BUYERS)]
        orders = [await buyer.join_deal(deal.id, NewOrder(payment_method="pm_ok")) for buyer in buyers]
        assert len({order.group_id for order in orders}) == 1

        last = await ended(buyers[0], str(orders[0].group_id))

        assert (last.status, last.headcount) == ("succeeded", BUYERS)
        for buyer, placed in zip(buyers, orders, strict=True):
            order = await buyer.get_order(placed.id)
            assert order.status == "captured"
            assert order.charged_total is not None
            assert order.charged_total.amount == price * 8 // 10
        assert (await merchant.get_deal(deal.id)).sold == BUYERS
    await site.assert_sound()


async def imported(merchant: Pintuan, feed: bytes) -> Product:
    """Imports the feed twice, which adds everything once; returns the product with the most variants."""
    first = await merchant.import_feed(feed, currency="EUR")
    again = await merchant.import_feed(feed, currency="EUR")
    products = [product async for product in every(merchant.list_products, merchant_id="shop")]

    assert (first.refused_count, first.products_added) == (0, len(products))
    assert first.variants_added == sum(len(product.variants) for product in products)
    assert (again.products_added, again.products_changed) == (0, 0)
    assert (again.variants_added, again.variants_changed) == (0, 0)
    product = max(products, key=lambda product: len(product.variants))
    assert len(product.variants) > 1
    assert {variant.list_price.currency for variant in product.variants} == {"EUR"}
    return product


async def ended(buyer: Pintuan, group_id: str) -> Group:
    """The last state of the group that is told."""
    async with asyncio.timeout(END_S_MAX):
        return [group async for group in buyer.watch_group(group_id)][-1]
