"""A key whose order was acknowledged is never refused later, whatever its other calls were told meanwhile."""

import asyncio
from typing import Any, cast

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine, open_engine
from groups.errors import AlreadyJoined, DealNotActive, LimitReached, Overloaded
from groups.record import QUERIES
from tests.integration.groups.conftest import Sound
from tests.interleaving import LaneMemory, place_and_die, warm
from tests.market import Market, buyer_of_lane

pytestmark = pytest.mark.anyio


class StoppedPool:
    """A pool whose caller is stopped once, after one statement was run and before it hears of it."""

    def __init__(self, pool: asyncpg.Pool, statement: str) -> None:
        self._pool = pool
        self._statement = statement
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def fetch(self, query: str, *arguments: Any, **options: Any) -> Any:
        rows = await self._pool.fetch(query, *arguments, **options)
        if query == self._statement and not self.reached.is_set():
            self.reached.set()
            await self.go_on.wait()
        return rows


async def test_a_seat_that_one_call_refuses_while_another_records_it_is_kept_with_its_key(
    engine: GroupEngine,
    another_engine: GroupEngine,
    market: Market,
    pool: asyncpg.Pool,
    redis_url: str,
    sound: Sound,
) -> None:
    deal = await market.deal(lanes=2)
    ann, host = buyer_of_lane(0, 2), buyer_of_lane(1, 2)
    group = await market.group_of((await engine.place(market.wish(host, deal=deal))).order_id)
    await engine.place(market.wish(ann, group=group))
    wish = market.wish(ann, deal=deal)
    stopped = StoppedPool(pool, QUERIES["classify_placements"])
    async with open_engine(cast("asyncpg.Pool", stopped), redis_url, rates=None) as slow:
        # It finds the buyer in an open group of the other lane, which has closed by the time it goes on.
        first = asyncio.create_task(slow.place(wish))
        await stopped.reached.wait()
        await market.pass_deadline(group)
        await another_engine.advance_due_groups(limit=10)
        acknowledged = await another_engine.place(wish)
        stopped.go_on.set()
        assert (await first).order_id == acknowledged.order_id
    await pool.execute("UPDATE deals SET status = 'ended' WHERE id = $1", deal)
    await pool.execute("UPDATE lanes SET epoch = epoch + 1 WHERE deal_id = $1", deal)
    assert (await engine.place(wish)).order_id == acknowledged.order_id
    with pytest.raises(DealNotActive):
        await engine.place(market.wish("bob", deal=deal, verb="open"))
    await sound()


async def test_a_seat_that_was_refused_is_recorded_by_no_other_call_of_its_key(
    another_engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis_url: str, sound: Sound
) -> None:
    deal = await market.deal(lanes=2)
    ann, host = buyer_of_lane(0, 2), buyer_of_lane(1, 2)
    group = await market.group_of((await another_engine.place(market.wish(host, deal=deal))).order_id)
    await another_engine.place(market.wish(ann, group=group))
    wish = market.wish(ann, deal=deal)
    stopped = StoppedPool(pool, QUERIES["abandon_requests"])
    async with open_engine(cast("asyncpg.Pool", stopped), redis_url, rates=None) as slow:
        first = asyncio.create_task(slow.place(wish))
        await stopped.reached.wait()
        await market.pass_deadline(group)
        await another_engine.advance_due_groups(limit=10)
        with pytest.raises(Overloaded):
            await another_engine.place(wish)
        placed = await another_engine.place(wish)
        stopped.go_on.set()
        with pytest.raises(AlreadyJoined):
            await first
        assert (await slow.place(wish)).order_id == placed.order_id
    await sound()


async def test_a_lane_that_forgot_a_request_learns_from_postgres_what_it_made(
    engine: GroupEngine, market: Market, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal(per_buyer=2)
    wish = market.wish("ann", deal=deal, verb="solo")
    placed = await engine.place(wish)
    memory = LaneMemory.of(redis, deal)
    request = memory.keys.request(wish.request_id.hex())
    await redis.delete(request)
    assert (await engine.place(wish)).order_id == placed.order_id
    assert await redis.get(request) == f"0|{placed.order_id}".encode()
    assert 0 < await redis.pttl(request) <= 24 * 3_600_000
    await engine.place(market.wish("ann", deal=deal, verb="solo"))
    with pytest.raises(LimitReached):
        await engine.place(market.wish("ann", deal=deal, verb="solo"))
    assert (await engine.place(wish)).order_id == placed.order_id
    await sound()


async def test_an_orphan_of_a_request_that_was_recorded_otherwise_leaves_the_request_known(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis: Redis, redis_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    wish = market.wish("ann", deal=deal, verb="solo")
    placed = await engine.place(wish)
    memory = LaneMemory.of(redis, deal)
    request = memory.keys.request(wish.request_id.hex())
    await redis.delete(request)
    await place_and_die(pool, redis_url, wish)
    await memory.age_pending()
    assert await engine.reconcile_orphans() == 1
    assert await redis.get(request) == f"0|{placed.order_id}".encode()
    await sound()


@pytest.mark.parametrize("how", ["flushed", "restarted"])
async def test_a_request_of_another_lane_is_known_though_redis_lost_that_lane(
    how: str, engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal(stock=2, lanes=2)
    ann, bob = buyer_of_lane(0, 2), buyer_of_lane(0, 2, besides=buyer_of_lane(0, 2))
    await engine.place(market.wish(bob, deal=deal, verb="solo"))
    wish = market.wish(ann, deal=deal, verb="solo")
    placed = await engine.place(wish)
    assert (await market.order(placed.order_id))["lane_no"] == 1
    if how == "flushed":
        await redis.flushall()
    else:
        memory = [LaneMemory.of(redis, deal, lane_no) for lane_no in range(2)]
        await redis.delete(memory[1].keys.request(wish.request_id.hex()))
        for lane in memory:
            await lane.client.hset(lane.keys.meta, "token", "9:of-another-run")
    await pool.execute("UPDATE deals SET status = 'ended' WHERE id = $1", deal)
    await pool.execute("UPDATE lanes SET epoch = epoch + 1 WHERE deal_id = $1", deal)
    assert (await engine.place(wish)).order_id == placed.order_id
    await sound()


async def test_a_refusal_asks_no_more_of_postgres_once_every_lane_is_warm(
    market: Market, pool: asyncpg.Pool, redis_url: str
) -> None:
    deal = await market.deal(lanes=3)
    for lane_no in range(3):
        await warm(pool, redis_url, deal, lane_no)
    group_less = market.wish("ann", deal=deal, verb="solo", quantity=11)
    async with open_engine(pool, redis_url, rates=None) as engine:
        epochs = [(await market.lane(deal, lane_no))["epoch"] for lane_no in range(3)]
        for _ in range(3):
            with pytest.raises(LimitReached):
                await engine.place(group_less)
        assert [(await market.lane(deal, lane_no))["epoch"] for lane_no in range(3)] == epochs
