"""Lanes that were not told of a group's end, because a worker died or Redis was silent just then."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import asyncpg
import pytest

from groups.engine import GroupEngine, open_engine
from groups.inspection import differences_of_lane
from groups.keys import Lane
from tests.interleaving import lane_store
from tests.market import Market
from tests.waiting import until

pytestmark = pytest.mark.anyio

GROUPS_MAX = 10
SEATS_MAX = 10


async def test_a_lane_learns_of_a_full_groups_end_from_its_members_releases(
    market: Market, pool: asyncpg.Pool, engine: GroupEngine, redis_url: str, tmp_path: Path
) -> None:
    deal = await market.deal(ladder=((2, 900),), min_headcount=2, max_headcount=2)
    orders = [(await engine.place(market.wish(buyer, deal=deal))).order_id for buyer in ("ann", "bob")]
    await market.authorise(*orders)
    await advance_untold(pool, tmp_path)
    await market.end_operations("capture")
    assert await differences(pool, redis_url, deal) != []

    await engine.apply_seat_releases(SEATS_MAX)
    assert await differences(pool, redis_url, deal) == []


async def test_a_lane_that_was_not_told_of_an_empty_groups_deadline_agrees_with_postgres(
    market: Market, pool: asyncpg.Pool, engine: GroupEngine, redis_url: str, tmp_path: Path
) -> None:
    deal = await market.deal(ttl_s=1)
    order_id = (await engine.place(market.wish("ann", deal=deal))).order_id
    group_id = await market.group_of(order_id)
    await market.end("declined", order_id)
    await engine.apply_seat_releases(SEATS_MAX)
    await until(partial(market.is_overdue, group_id))
    await advance_untold(pool, tmp_path)

    assert (await market.group(group_id))["status"] == "failed"
    assert await differences(pool, redis_url, deal) == []


async def advance_untold(pool: asyncpg.Pool, directory: Path) -> None:
    """Does what a worker does whose Redis does not answer."""
    async with open_engine(pool, f"unix://{directory}/nobody.sock", rates=None) as worker:
        assert await worker.advance_due_groups(GROUPS_MAX) == 1


async def differences(pool: asyncpg.Pool, redis_url: str, deal: str) -> list[str]:
    async with lane_store(redis_url) as store:
        return [found.what for found in await differences_of_lane(pool, store, Lane(deal, 0)) or ()]
