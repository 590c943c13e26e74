"""Units are found and kept even across lanes, wherever they are and whoever is in between."""

import asyncio
from collections import Counter

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine
from groups.errors import Overloaded, SoldOut
from groups.keys import Lane
from groups.lane_store import LaneStore
from groups.stock import StockMover, plan_evening, plan_gathering
from groups.transfers import TRANSFERS
from tests.integration.groups.conftest import Sound
from tests.interleaving import LaneMemory, place_and_die, processes, warm
from tests.market import Market, buyer_of_lane
from tests.transfers import Died, MortalStore, differences, left_in_redis, open_transfers, stock, warm_deal

pytestmark = pytest.mark.anyio


async def test_units_are_gathered_without_a_lane_going_cold(
    market: Market, redis: Redis, redis_url: str, mover: StockMover, store: LaneStore, sound: Sound
) -> None:
    deal, epochs = await warm_deal(market, redis_url)
    assert await mover.gather(Lane(deal, 0), 13)
    assert await stock(market, deal) == await left_in_redis(redis, deal) == [13, 7]
    assert [(await market.lane(deal, no))["epoch"] for no in range(2)] == epochs
    assert await open_transfers(market.pool) == 0
    assert await differences(market.pool, store, deal) == []
    await sound()


async def test_seats_on_their_way_to_postgres_are_not_taken_from_under_them(
    market: Market, redis_url: str, pool: asyncpg.Pool, mover: StockMover
) -> None:
    deal, _ = await warm_deal(market, redis_url, stock=4)
    await place_and_die(pool, redis_url, market.wish("ann", deal=deal, quantity=2), lane_no=1)
    assert not await mover.gather(Lane(deal, 0), 3)
    assert await stock(market, deal) == [2, 2]


async def test_a_deal_is_sold_out_although_a_transfer_waits_for_a_lane_that_is_cold(
    market: Market, redis: Redis, redis_url: str, pool: asyncpg.Pool, mover: StockMover
) -> None:
    deal, _ = await warm_deal(market, redis_url)
    await redis.delete(LaneMemory.of(redis, deal, 0).keys.meta)
    assert await mover.gather(Lane(deal, 0), 13)
    assert await open_transfers(pool) == 1
    assert await mover.gather(Lane(deal, 1), 20)
    assert await stock(market, deal) == [0, 20]
    assert not await mover.gather(Lane(deal, 1), 21)


class DeafStore(MortalStore):
    """The store of a process that cannot reach the server of lane 1."""

    def _hear(self, lane: Lane) -> None:
        if lane.lane_no == 1:
            raise Overloaded("the server does not answer")

    async def units_left(self, lane: Lane, epoch: int) -> int | None:
        self._hear(lane)
        return await super().units_left(lane, epoch)

    async def take_units(self, lane: Lane, epoch: int, transfer_id: str, units: int) -> int:
        self._hear(lane)
        return await super().take_units(lane, epoch, transfer_id, units)

    async def give_units(self, lane: Lane, epoch: int, transfer_id: str, units: int) -> int:
        self._hear(lane)
        return await super().give_units(lane, epoch, transfer_id, units)


async def test_lanes_on_other_servers_give_while_one_does_not_answer(
    market: Market, redis_url: str, pool: asyncpg.Pool, mover: StockMover, sound: Sound
) -> None:
    deal = await market.deal(stock=30, lanes=3)
    for no in range(3):
        await warm(pool, redis_url, deal, no)
    # A transfer into the lane that will not answer is under way.
    mortal = MortalStore(redis_url, dies_at=("before", "give"))
    with pytest.raises(Died):
        await StockMover(pool, mortal).gather(Lane(deal, 1), 13)
    deaf = DeafStore(redis_url)
    cut_off = StockMover(pool, deaf)
    assert await cut_off.gather(Lane(deal, 0), 12)
    assert (await stock(market, deal, 3))[0] == 12
    # What the silent lane has left is anybody's guess, so nobody may be told that the deal is sold out.
    with pytest.raises(Overloaded):
        await cut_off.gather(Lane(deal, 0), 20)
    with pytest.raises(Overloaded):
        await cut_off.gather(Lane(deal, 1), 1)
    await cut_off.even_out()
    assert await open_transfers(pool) == 1
    for store in (mortal, deaf):
        await store.close()
    assert await mover.gather(Lane(deal, 0), 30)
    assert await stock(market, deal, 3) == [30, 0, 0]
    assert await open_transfers(pool) == 0
    await sound()


async def test_whoever_waits_too_long_for_a_turn_is_told_to_try_again(
    market: Market, redis_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groups.stock.TURN_WAIT_S", 0.05)
    deal, _ = await warm_deal(market, redis_url)
    reached, go_on = asyncio.Event(), asyncio.Event()

    class Slow(MortalStore):
        async def units_left(self, lane: Lane, epoch: int) -> int | None:
            reached.set()
            await go_on.wait()
            return await super().units_left(lane, epoch)

    slow = Slow(redis_url)
    mover = StockMover(pool, slow)
    first = asyncio.create_task(mover.gather(Lane(deal, 0), 13))
    await reached.wait()
    with pytest.raises(Overloaded):
        await mover.gather(Lane(deal, 0), 13)
    go_on.set()
    assert await first
    await slow.close()


async def test_only_one_process_at_a_time_moves_units_of_a_deal(
    market: Market, redis_url: str, pool: asyncpg.Pool, mover: StockMover, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groups.stock.LOCK_WAIT_S", 0.05)
    deal, _ = await warm_deal(market, redis_url)
    async with pool.acquire() as connection:
        assert await connection.fetchval(TRANSFERS["try_stock_lock"], deal)
        with pytest.raises(Overloaded):
            await mover.gather(Lane(deal, 0), 13)
        assert await connection.fetchval(TRANSFERS["release_stock_lock"], deal)
    assert await mover.gather(Lane(deal, 0), 13)
    async with pool.acquire() as connection:
        # The lock was given back.
        assert await connection.fetchval(TRANSFERS["try_stock_lock"], deal)


async def test_a_worker_evens_lanes_out_before_anybody_has_to_search(
    engine: GroupEngine, market: Market, redis_url: str, store: LaneStore, sound: Sound
) -> None:
    deal = await market.deal(stock=40, lanes=4, per_buyer=100)
    for no in range(4):
        await warm(market.pool, redis_url, deal, no)
    buyer = buyer_of_lane(1, 4)
    await engine.place(market.wish(buyer, deal=deal, quantity=9))
    assert await engine.even_out_stock() == 2
    lanes = [await market.lane(deal, no) for no in range(4)]
    left = [lane["stock_units"] - lane["sold_units"] for lane in lanes]
    assert sum(left) == 31
    assert left[1] == 7
    assert await differences(market.pool, store, deal, 4) == []
    # Lanes that are even enough stay as they are.
    assert await engine.even_out_stock() == 0
    await sound()


async def test_deals_that_do_not_run_are_left_alone(engine: GroupEngine, market: Market) -> None:
    deal = await market.deal(stock=40, lanes=2, per_buyer=100)
    await engine.place(market.wish(buyer_of_lane(0, 2), deal=deal, quantity=20))
    await market.pool.execute("UPDATE deals SET status = 'paused'")
    assert await engine.even_out_stock() == 0
    await market.pool.execute(
        "UPDATE deals SET status = 'active', ends_at = app_now(), starts_at = app_now() - interval '1 day'"
    )
    assert await engine.even_out_stock() == 0
    await market.pool.execute("UPDATE deals SET ends_at = NULL")
    assert await engine.even_out_stock() == 1


async def test_the_last_units_are_found_in_lanes_that_redis_does_not_hold(
    engine: GroupEngine, market: Market, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal(stock=8, lanes=4, max_headcount=8)
    host = await engine.place(market.wish(buyer_of_lane(2, 4), deal=deal, verb="open"))
    group = await market.group_of(host.order_id)
    for n in range(3):
        await engine.place(market.wish(f"friend-{n}", group=group))
    await redis.flushall()
    for n in range(3, 7):
        await engine.place(market.wish(f"friend-{n}", group=group))
    with pytest.raises(SoldOut):
        await engine.place(market.wish("late", deal=deal))
    await sound()


async def test_processes_that_gather_at_once_for_groups_of_every_lane_sell_exactly_the_stock(
    database_url: str, redis_url: str, market: Market, sound: Sound
) -> None:
    deal = await market.deal(stock=40, lanes=4, max_headcount=40)
    async with processes(database_url, redis_url, 3) as engines:
        groups = []
        for no in range(4):
            host = await engines[0].place(market.wish(buyer_of_lane(no, 4), deal=deal, verb="open"))
            groups.append(await market.group_of(host.order_id))
        outcomes = await race(engines, market, groups)
    assert outcomes == {"Recorded": 36, "SoldOut": 12}
    await sound()


async def race(engines: list[GroupEngine], market: Market, groups: list[str]) -> dict[str, int]:
    """Twelve buyers for each group, and forty units in all; told to come again, they do."""

    async def buy(engine: GroupEngine, buyer: str, group: str) -> str:
        wish = market.wish(buyer, group=group)
        for _ in range(100):
            try:
                await engine.place(wish)
            except Overloaded:
                continue
            except SoldOut:
                return "SoldOut"
            return "Recorded"
        raise AssertionError("nothing was decided")

    return dict(
        Counter(
            await asyncio.gather(
                *(
                    buy(engines[n % len(engines)], f"buyer-{n}-{group}", group)
                    for n in range(12)
                    for group in groups
                )
            )
        )
    )


def test_the_fullest_lanes_give_first_and_no_more_than_is_missing() -> None:
    assert plan_gathering({0: 0, 1: 3, 2: 5, 3: 4}, 0, 1) == [(2, 3)]
    assert plan_gathering({0: 0, 1: 1, 2: 1, 3: 0}, 0, 2) == [(1, 1), (2, 1)]
    assert plan_gathering({0: 2, 1: 1, 2: 9}, 0, 12) == [(2, 9), (1, 1)]
    assert plan_gathering({0: 5, 1: 1}, 0, 1) == []


def test_lanes_below_half_their_share_get_the_whole_of_it_from_what_others_have_above_theirs() -> None:
    assert plan_evening({0: 0, 1: 10, 2: 20}) == [(2, 0, 10)]
    assert plan_evening({0: 0, 1: 1, 2: 11, 3: 12}) == [(3, 0, 6), (2, 1, 5)]
    assert plan_evening({0: 5, 1: 10, 2: 10}) == []
    assert plan_evening({0: 0, 1: 1}) == []
    assert plan_evening({0: 0, 1: 0}) == []
