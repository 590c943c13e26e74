"""Units move between lanes in steps; whoever dies between two of them, none is lost and none counts twice."""

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.keys import Lane
from groups.lane_store import TRANSFERS_KEPT_MS, LaneStore
from groups.stock import StockMover
from groups.transfers import OUTLIVED_MS
from tests.integration.groups.conftest import Sound
from tests.interleaving import LaneMemory, warm
from tests.market import Market
from tests.transfers import (
    Died,
    MortalStore,
    differences,
    left_in_redis,
    open_transfers,
    raise_epoch,
    stock,
    warm_deal,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("dies_at", "moved"),
    [
        (("before", "take"), False),
        (("after", "take"), False),
        (("before", "give"), True),
        (("after", "give"), True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("meanwhile", ["nothing", "giving lane", "getting lane", "both", "flush"])
async def test_whoever_dies_between_two_steps_another_finishes(
    market: Market,
    redis: Redis,
    redis_url: str,
    mover: StockMover,
    store: LaneStore,
    sound: Sound,
    dies_at: tuple[str, str],
    moved: bool,
    meanwhile: str,
) -> None:
    deal, epochs = await warm_deal(market, redis_url)
    mortal = MortalStore(redis_url, dies_at=dies_at)
    with pytest.raises(Died):
        await StockMover(market.pool, mortal).gather(Lane(deal, 0), 13)
    await mortal.close()
    assert await stock(market, deal) == ([13, 7] if moved else [10, 10])
    assert await open_transfers(market.pool) == 1
    # However far it got, Redis never has units that Postgres has not.
    for no in range(2):
        lane = await market.lane(deal, no)
        assert await LaneMemory.of(redis, deal, no).units_left() <= lane["stock_units"] - lane["sold_units"]

    if meanwhile == "flush":
        await redis.flushall()
    rebuilt = {"giving lane": [1], "getting lane": [0], "both": [0, 1]}.get(meanwhile, [])
    for no in rebuilt:
        await raise_epoch(market.pool, deal, no)
        await warm(market.pool, redis_url, deal, no)

    assert await mover.gather(Lane(deal, 0), 13)
    for no in range(2):
        await warm(market.pool, redis_url, deal, no)
    await mover.even_out()
    assert await stock(market, deal) == await left_in_redis(redis, deal) == [13, 7]
    assert await open_transfers(market.pool) == 0
    assert await differences(market.pool, store, deal) == []
    if meanwhile == "nothing":
        assert [(await market.lane(deal, no))["epoch"] for no in range(2)] == epochs
    await sound()


async def test_a_lane_rebuilt_after_the_move_is_not_given_its_units_twice(
    market: Market, redis: Redis, redis_url: str, mover: StockMover
) -> None:
    deal, _ = await warm_deal(market, redis_url)
    mortal = MortalStore(redis_url, dies_at=("before", "give"))
    with pytest.raises(Died):
        await StockMover(market.pool, mortal).gather(Lane(deal, 0), 13)
    await mortal.close()
    await redis.delete(LaneMemory.of(redis, deal, 0).keys.meta)
    await warm(market.pool, redis_url, deal, 0)
    assert await left_in_redis(redis, deal) == [13, 7]
    await mover.even_out()
    assert await left_in_redis(redis, deal) == [13, 7]


async def test_a_lane_rebuilt_between_the_take_and_the_move_keeps_its_units(
    market: Market, redis: Redis, redis_url: str, pool: asyncpg.Pool, sound: Sound
) -> None:
    deal, _ = await warm_deal(market, redis_url)

    class Overtaken(MortalStore):
        async def take_units(self, lane: Lane, epoch: int, transfer_id: str, units: int) -> int:
            taken = await super().take_units(lane, epoch, transfer_id, units)
            await raise_epoch(pool, deal, lane.lane_no)
            await warm(pool, redis_url, deal, lane.lane_no)
            return taken

    overtaken = Overtaken(redis_url)
    assert await StockMover(pool, overtaken).gather(Lane(deal, 0), 13)
    await overtaken.close()
    assert await stock(market, deal) == await left_in_redis(redis, deal) == [10, 10]
    assert await open_transfers(pool) == 0
    await sound()


async def test_steps_that_come_twice_or_late_change_nothing(
    market: Market, redis: Redis, redis_url: str, store: LaneStore
) -> None:
    deal, (epoch, _) = await warm_deal(market, redis_url)
    lane = Lane(deal, 0)
    assert [await store.take_units(lane, epoch, "mov_1", 4) for _ in range(3)] == [4, 4, 4]
    assert await store.take_units(lane, epoch, "mov_2", 100) == 6
    assert await store.take_units(lane, epoch, "mov_3", 1) == 0
    assert [await store.give_units(lane, epoch, "mov_1", 4) for _ in range(3)] == [4, 4, 4]
    # What took nothing keeps taking nothing, although there is something now.
    assert await store.take_units(lane, epoch, "mov_3", 1) == 0
    assert await LaneMemory.of(redis, deal).units_left() == 4


async def test_a_lane_forgets_transfers_that_nobody_repeats_any_more(
    market: Market, redis: Redis, redis_url: str, store: LaneStore
) -> None:
    deal, (epoch, _) = await warm_deal(market, redis_url)
    memory = LaneMemory.of(redis, deal)
    now_s, _ = await memory.client.time()
    old_ms = now_s * 1000 - TRANSFERS_KEPT_MS - 1_000
    await memory.client.hset(
        memory.keys.meta, mapping={"took:old": f"1@{old_ms}", "gave:young": f"1@{old_ms + 60_000}"}
    )
    await store.take_units(Lane(deal, 0), epoch, "mov_1", 1)
    fields = {name.decode() for name in await memory.client.hkeys(memory.keys.meta) if b":" in name}
    assert fields == {"gave:young", "took:mov_1"}
    assert await store.is_warm(Lane(deal, 0), epoch)


async def test_a_lane_that_lied_about_its_units_is_rebuilt_and_nothing_is_oversold(
    market: Market, redis: Redis, redis_url: str, mover: StockMover, sound: Sound
) -> None:
    deal, _ = await warm_deal(market, redis_url, stock=4)
    await LaneMemory.of(redis, deal, 1).write_units_left(9)
    assert await mover.gather(Lane(deal, 0), 7)
    assert await stock(market, deal) == [2, 2]
    assert await open_transfers(market.pool) == 0
    for no in range(2):
        await warm(market.pool, redis_url, deal, no)
    assert await left_in_redis(redis, deal) == [2, 2]
    assert not await mover.gather(Lane(deal, 0), 7)
    await sound()


async def test_a_transfer_that_redis_never_answers_ends_by_rebuilds(
    market: Market, redis: Redis, redis_url: str, pool: asyncpg.Pool, sound: Sound
) -> None:
    deal, epochs = await warm_deal(market, redis_url)
    mortal = MortalStore(redis_url, dies_at=("after", "take"))
    with pytest.raises(Died):
        await StockMover(pool, mortal).gather(Lane(deal, 0), 13)
    mortal.fails = True
    # As long as it is young, it waits for Redis.
    assert await StockMover(pool, mortal).even_out() == 0
    assert await open_transfers(pool) == 1
    await pool.execute(
        "UPDATE stock_transfers SET created_at = app_now() - ($1 + 1000) * interval '1 millisecond'",
        OUTLIVED_MS,
    )
    await StockMover(pool, mortal).even_out()
    await mortal.close()
    assert await open_transfers(pool) == 0
    for no in range(2):
        assert await warm(pool, redis_url, deal, no) > epochs[no]
    assert await left_in_redis(redis, deal) == await stock(market, deal) == [10, 10]
    await sound()


async def test_a_transfer_to_a_lane_that_stays_cold_ends(
    market: Market, redis: Redis, redis_url: str, pool: asyncpg.Pool, mover: StockMover
) -> None:
    deal, _ = await warm_deal(market, redis_url)
    await redis.delete(LaneMemory.of(redis, deal, 0).keys.meta)
    assert await mover.gather(Lane(deal, 0), 13)
    assert await open_transfers(pool) == 1
    await pool.execute(
        "UPDATE stock_transfers SET created_at = app_now() - ($1 + 1000) * interval '1 millisecond'",
        OUTLIVED_MS,
    )
    await mover.even_out()
    assert await open_transfers(pool) == 0
    await warm(pool, redis_url, deal, 0)
    assert await left_in_redis(redis, deal) == await stock(market, deal) == [13, 7]
