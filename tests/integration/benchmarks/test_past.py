"""A market given a past in bulk is one the application could have made, and goes on like any other."""

from __future__ import annotations

import asyncpg
import pytest

from benchmarks.past import GROUP_MEMBERS, add_history, add_open_groups, authorise_held
from groups.engine import GroupEngine
from tests.auditing import audited
from tests.market import Market

pytestmark = pytest.mark.anyio

TTL_S = 48 * 3600
CAPACITY = 150


@pytest.fixture
async def deal(market: Market) -> str:
    return await market.deal(stock=100_000, min_headcount=2, max_headcount=CAPACITY, ttl_s=TTL_S)


async def broken(pool: asyncpg.Pool, redis_url: str) -> list[str]:
    report = await audited(pool, redis_url)
    return [f"{check.name}: {offender}" for check in report.checks for offender in check.offenders[:3]]


async def test_a_past_of_paid_orders_breaks_no_invariant(
    pool: asyncpg.Pool, redis_url: str, deal: str
) -> None:
    told: list[int] = []

    async with pool.acquire() as connection:
        await add_history(connection, deal, 101 * GROUP_MEMBERS, told.append)

    assert told == [100 * GROUP_MEMBERS, 101 * GROUP_MEMBERS]
    assert await pool.fetchval("SELECT count(*) FROM orders WHERE status = 'captured'") == 10_100
    assert await pool.fetchval("SELECT count(*) FROM groups WHERE status = 'succeeded'") == 101
    assert not await broken(pool, redis_url)


async def test_buyers_join_groups_with_a_past_where_the_past_ends(
    pool: asyncpg.Pool, redis_url: str, market: Market, engine: GroupEngine, deal: str
) -> None:
    async with pool.acquire() as connection:
        group_ids = await add_open_groups(connection, deal, 3, 40)

    by_link = await engine.place(market.wish("ann", group=group_ids[1]))
    by_deal = await engine.place(market.wish("bob", deal=deal))

    order = await market.order(by_link.order_id)
    assert (order["group_id"], order["seat"]) == (group_ids[1], 41)
    assert await market.group_of(by_deal.order_id) == group_ids[1], "the fullest"
    assert not await broken(pool, redis_url)


async def test_payments_of_those_who_joined_succeed_in_bulk(
    pool: asyncpg.Pool, redis_url: str, market: Market, engine: GroupEngine, deal: str
) -> None:
    async with pool.acquire() as connection:
        (group_id,) = await add_open_groups(connection, deal, 1, 10)
        placed = await engine.place(market.wish("ann", group=group_id))

        await authorise_held(connection, deal)

    assert (await market.order(placed.order_id))["status"] == "authorised"
    headcount = await pool.fetchval("SELECT headcount FROM group_progress WHERE group_id = $1", group_id)
    assert headcount == 11
    assert not await broken(pool, redis_url)
