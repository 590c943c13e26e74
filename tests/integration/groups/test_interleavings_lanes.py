"""Lanes are rebuilt once, whoever asks, and a deal of several lanes answers as one."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.cancellation import Cancellation
from groups.engine import REQUEST_TTL_MS, GroupEngine
from groups.errors import Overloaded, SoldOut
from groups.keys import Lane, LaneKeys
from groups.lane_store import LaneStore
from groups.listeners import Listeners
from groups.rebuild import Rebuilder
from tests.integration.groups.conftest import Sound
from tests.interleaving import LaneMemory, holding, lane_store, warm
from tests.market import Market, buyer_of_lane, digest

pytestmark = pytest.mark.anyio

HOLD_REBUILD_LOCK = "SELECT pg_advisory_lock(hashtextextended('rebuild ' || $1 || ':' || 0, 0))"


class SlowStore(LaneStore):
    """Stops before a rebuilt lane is put in place, where a process may be stopped for as long as you like."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(redis_url, rates=None, request_ttl_ms=REQUEST_TTL_MS)
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def install(
        self, lane: Lane, epoch: int, meta: dict[str, Any], staged_sizes: Sequence[int]
    ) -> int | None:
        self.reached.set()
        await self.go_on.wait()
        return await super().install(lane, epoch, meta, staged_sizes)


class LateStore(LaneStore):
    """Finds a lane cold and is stopped right after, before it does anything about it."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(redis_url, rates=None, request_ttl_ms=REQUEST_TTL_MS)
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def is_warm(self, lane: Lane, epoch: int) -> bool:
        found = await super().is_warm(lane, epoch)
        self.reached.set()
        await self.go_on.wait()
        return found


async def test_a_process_that_found_a_lane_cold_does_not_rebuild_what_another_has_rebuilt_since(
    pool: asyncpg.Pool, market: Market, redis_url: str
) -> None:
    deal = await market.deal()
    late = LateStore(redis_url)
    warms = asyncio.create_task(Rebuilder(pool, late, Listeners()).warm(Lane(deal, 0)))
    await late.reached.wait()
    assert await warm(pool, redis_url, deal) == 2
    late.go_on.set()
    assert await warms == 2
    await late.close()


async def test_one_of_many_processes_rebuilds_a_lane_that_all_find_cold(
    pool: asyncpg.Pool, market: Market, redis_url: str
) -> None:
    deal = await market.deal()
    epochs = await asyncio.gather(*(warm(pool, redis_url, deal) for _ in range(8)))
    assert set(epochs) == {2}
    assert (await market.lane(deal))["epoch"] == 2


async def test_a_process_that_hangs_over_the_rebuild_lock_does_not_keep_the_lane_cold(
    engine: GroupEngine, market: Market, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groups.rebuild.LOCK_PATIENCE_S", 0.1)
    deal = await market.deal()
    async with holding(database_url, HOLD_REBUILD_LOCK, deal):
        assert not (await engine.place(market.wish("ann", deal=deal))).replayed


async def test_a_rebuild_that_comes_late_leaves_the_newer_one_in_place(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis: Redis, redis_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    await engine.place(market.wish("ann", deal=deal))
    slow = SlowStore(redis_url)
    late = asyncio.create_task(Rebuilder(pool, slow, Listeners()).warm(Lane(deal, 0), distrusted_epoch=2))
    await slow.reached.wait()
    async with pool.acquire() as connection, lane_store(redis_url) as store:
        # Another process that saw the first one hang over the lock.
        await Rebuilder(pool, store, Listeners())._raise_and_install(connection, Lane(deal, 0))
    await engine.place(market.wish("bob", deal=deal))
    slow.go_on.set()
    assert await late == (await market.lane(deal))["epoch"] == 4
    await slow.close()
    assert len(await LaneMemory.of(redis, deal).seats()) == 2
    await sound()


async def test_a_rebuild_whose_requests_got_lost_is_not_put_in_place(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis: Redis, redis_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    wish = market.wish("ann", deal=deal, verb="solo")
    placed = await engine.place(wish)
    # Then a request is all that the lane has to remember.
    await market.end("declined", placed.order_id)
    await engine.apply_seat_releases(10)
    slow = SlowStore(redis_url)
    rebuild = asyncio.create_task(Rebuilder(pool, slow, Listeners()).warm(Lane(deal, 0), distrusted_epoch=2))
    await slow.reached.wait()
    await redis.flushall()
    slow.go_on.set()
    with pytest.raises(Overloaded):
        await rebuild
    await slow.close()
    await market.change_deal(deal, status="ended")
    assert (await engine.place(wish)).order_id == placed.order_id
    await sound()


async def test_a_rebuild_of_which_a_part_got_lost_is_not_put_in_place(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis: Redis, redis_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    await engine.place(market.wish("ann", deal=deal))
    slow = SlowStore(redis_url)
    rebuild = asyncio.create_task(Rebuilder(pool, slow, Listeners()).warm(Lane(deal, 0), distrusted_epoch=2))
    await slow.reached.wait()
    # As when a replica is promoted that had not got all of it.
    _, _, seats, _, _ = LaneKeys.of(Lane(deal, 0)).staged(3)
    assert await redis.delete(seats) == 1
    slow.go_on.set()
    with pytest.raises(Overloaded):
        await rebuild
    await slow.close()
    await engine.place(market.wish("bob", deal=deal))
    assert len(await LaneMemory.of(redis, deal).seats()) == 2
    await sound()


async def test_recorded_keys_replay_while_their_lane_is_being_rebuilt(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis_url: str
) -> None:
    deal = await market.deal(stock=1)
    wish = market.wish("ann", deal=deal)
    first = await engine.place(wish)
    slow = SlowStore(redis_url)
    rebuild = asyncio.create_task(Rebuilder(pool, slow, Listeners()).warm(Lane(deal, 0), distrusted_epoch=2))
    await slow.reached.wait()
    try:
        replay = await engine.place(wish)
        assert (replay.order_id, replay.replayed) == (first.order_id, True)
    finally:
        slow.go_on.set()
        await rebuild
        await slow.close()
    assert (await engine.place(wish)).order_id == first.order_id


async def test_recorded_keys_of_ended_orders_replay_after_a_rebuild(
    engine: GroupEngine, market: Market, redis: Redis
) -> None:
    deal = await market.deal(stock=2)
    wish = market.wish("ann", deal=deal)
    first = await engine.place(wish)
    await market.end("declined", first.order_id)
    await redis.flushall()
    for buyer in ("bob", "cid"):
        await engine.place(market.wish(buyer, deal=deal))
    with pytest.raises(SoldOut):
        await engine.place(market.wish("dan", deal=deal))
    replay = await engine.place(wish)
    assert (replay.order_id, replay.replayed) == (first.order_id, True)


async def test_units_that_ended_in_another_lane_do_not_count_against_a_rebuilt_one(
    engine: GroupEngine, market: Market, redis_url: str, pool: asyncpg.Pool, sound: Sound
) -> None:
    deal = await market.deal(lanes=2, per_buyer=1)
    leader, buyer = buyer_of_lane(0, 2), buyer_of_lane(1, 2)
    opened = await engine.place(market.wish(leader, deal=deal))
    joined = await engine.place(market.wish(buyer, group=await market.group_of(opened.order_id)))
    await warm(pool, redis_url, deal, 1)
    await sound()
    await engine.cancel(Cancellation(joined.order_id, buyer, digest("leave"), b""))
    await engine.place(market.wish(buyer, deal=deal))
    assert (await market.lane(deal, 1))["sold_units"] == 1
    await sound()


async def test_a_key_recorded_in_a_lane_further_on_replays_even_where_the_first_lane_refuses(
    engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal(lanes=2, stock=4, per_buyer=2)
    buyer, other = buyer_of_lane(0, 2), buyer_of_lane(0, 2, besides=buyer_of_lane(0, 2))
    filled = await engine.place(market.wish(other, deal=deal, quantity=2))
    wish = market.wish(buyer, deal=deal)
    first = await engine.place(wish)
    assert (await market.order(first.order_id))["lane_no"] == 1
    await engine.cancel(Cancellation(filled.order_id, other, digest("leave"), b""))
    # A seat in the first lane now keeps auto-placement out there, and the key comes back all the same.
    await engine.place(market.wish(buyer, deal=deal, verb="open"))
    replay = await engine.place(wish)
    assert (replay.order_id, replay.replayed) == (first.order_id, True)
