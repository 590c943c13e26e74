"""Lanes that nobody ever joined cost sweeps nothing, however many a merchant makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from groups.keys import Lane
from groups.reconciler import LANES
from groups.stock import TRANSFERS
from tests.interleaving import place_and_die

if TYPE_CHECKING:
    import asyncpg

    from groups.engine import GroupEngine
    from tests.market import Market

pytestmark = pytest.mark.anyio

PAGE = 100


async def reconciled(pool: asyncpg.Pool) -> list[Lane]:
    """The lanes that a sweep for orphans asks Redis about."""
    rows = await pool.fetch(LANES["lanes_to_reconcile"], "", -1, PAGE)
    return [Lane(row["deal_id"], row["lane_no"]) for row in rows]


async def evened(pool: asyncpg.Pool) -> list[str]:
    """The deals whose lanes a sweep keeps even."""
    return [row["id"] for row in await pool.fetch(TRANSFERS["uneven_deals"], "", PAGE)]


async def test_redis_is_asked_only_about_lanes_that_were_made_warm(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market
) -> None:
    for _ in range(3):
        await market.deal(lanes=4, stock=40)
    assert await reconciled(pool) == []
    joined = await market.deal()
    await engine.place(market.wish("ann", deal=joined))
    assert await reconciled(pool) == [Lane(joined, 0)]


async def test_the_first_seat_of_a_lane_is_freed_where_its_process_died(
    pool: asyncpg.Pool, redis_url: str, market: Market
) -> None:
    deal = await market.deal()
    await place_and_die(pool, redis_url, market.wish("ann", deal=deal))
    assert await reconciled(pool) == [Lane(deal, 0)]


async def test_only_deals_that_were_joined_are_looked_at_for_uneven_lanes(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market
) -> None:
    deals = [await market.deal(lanes=2, stock=20) for _ in range(3)]
    await pool.execute("UPDATE lanes SET sold_units = stock_units WHERE lane_no = 0")
    assert await evened(pool) == [], "no deal gets there before a lane of it is warm"
    await engine.place(market.wish("ann", deal=deals[0]))
    assert await evened(pool) == deals[:1]


async def test_of_a_deal_that_ended_only_lanes_with_an_open_group_are_looked_at(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal(lanes=4, stock=40)
    order = (await engine.place(market.wish("ann", deal=deal))).order_id
    group = await market.group(await market.group_of(order))
    await pool.execute("UPDATE lanes SET epoch = epoch + 2")
    assert len(await reconciled(pool)) == 4
    await pool.execute("UPDATE deals SET status = 'ended'")
    assert await reconciled(pool) == [Lane(deal, group["lane_no"])]
