"""A store that goes away, comes back or forgets costs shoppers a moment, and never an order or a reason."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from redis.asyncio import Redis

from pintuan.base.stores.embedded import EmbeddedRedis
from tests.acceptance.shoppers import Shoppers, placed, refused
from tests.conftest import PostgresFixture
from tests.market import Market

pytestmark = pytest.mark.anyio


@pytest.fixture
def redis_url(own_redis: EmbeddedRedis) -> str:
    """A Redis of this test alone, which goes away."""
    return own_redis.url


async def test_without_redis_placing_waits_and_all_else_goes_on(
    shoppers: Shoppers, market: Market, own_redis: EmbeddedRedis
) -> None:
    deal = await market.deal()
    order = placed(await shoppers.join(deal, "ann", key="k"))
    await own_redis.kill()
    for buyer, key in (("ann", "k"), ("bob", "bobs")):
        unplaced = await shoppers.join(deal, buyer, key=key)
        refused(unplaced, 503, "overloaded")
        assert int(unplaced.headers["retry-after"]) >= 1
    assert (await shoppers.api.get(f"/v1/groups/{order['group_id']}")).status_code == 200
    left = await shoppers.cancel(order["id"], "ann")
    assert (left.status_code, left.json()["status"]) == (200, "cancelled")

    await own_redis.start()
    await own_redis.wait_ready()
    assert placed(await shoppers.join(deal, "bob", key="bobs"))["seat"] == 1
    assert (await shoppers.join(deal, "ann", key="k")).json()["status"] == "cancelled"


async def test_a_redis_that_forgot_everything_is_told_again(
    shoppers: Shoppers, market: Market, redis_url: str
) -> None:
    deal = await market.deal(stock=3)
    order = placed(await shoppers.join(deal, "ann", key="k", quantity=2))
    async with Redis.from_url(redis_url, socket_timeout=5) as client:
        await client.flushall()
    again = await shoppers.join(deal, "ann", key="k", quantity=2)
    assert (again.status_code, again.json()["id"]) == (200, order["id"])
    refused(await shoppers.join(deal, "ann", key="k"), 422, "idempotency_key_reused")
    refused(await shoppers.join(deal, "ann"), 409, "already_joined")
    refused(await shoppers.join(deal, "bob", quantity=2), 409, "sold_out")
    second = placed(await shoppers.join(deal, "bob"))
    assert (second["group_id"], second["seat"]) == (order["group_id"], 2)


async def test_connections_cut_by_postgres_cost_no_order(
    shoppers: Shoppers, market: Market, postgres: PostgresFixture
) -> None:
    deal = await market.deal(stock=20)
    order = placed(await shoppers.join(deal, "ann"))
    cut = await postgres.maintenance.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pintuan-api'"
    )
    assert cut
    calls = [shoppers.join(deal, f"buyer-{n}", key="k") for n in range(8)]
    looks = [shoppers.api.get(f"/v1/groups/{order['group_id']}") for _ in range(8)]
    responses: list[httpx.Response] = list(await asyncio.gather(*calls, *looks))
    assert {response.status_code for response in responses} <= {200, 201, 503}
    settled = [await shoppers.join(deal, f"buyer-{n}", key="k") for n in range(8)]
    assert {response.status_code for response in settled} <= {200, 201}
    assert len(await market.orders()) == 9


async def test_one_buyer_in_a_great_hurry_is_slowed_down(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal()
    order = placed(await shoppers.join(deal, "ann", key="k"))
    responses = [await shoppers.join(deal, "ann") for _ in range(30)]
    slowed = [response for response in responses if response.status_code == 429]
    assert slowed
    for response in slowed:
        refused(response, 429, "rate_limited")
        assert int(response.headers["retry-after"]) >= 1
    again = await shoppers.join(deal, "ann", key="k")
    assert (again.status_code, again.json()["id"]) == (200, order["id"])
    placed(await shoppers.join(deal, "bob"))
