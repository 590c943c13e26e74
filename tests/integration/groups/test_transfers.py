"""Units move between lanes in steps; whoever dies between two of them, none is lost and none counts twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.engine import REQUEST_TTL_MS, GroupEngine
from groups.errors import Overloaded, SoldOut
from groups.inspection import differences_of_lane
from groups.keys import Lane
from groups.lane_store import TRANSFERS_KEPT_MS, LaneStore
from groups.stock import StockMover, plan_evening, plan_gathering
from groups.transfers import OUTLIVED_MS, TRANSFERS
from tests.integration.groups.conftest import Sound
from tests.interleaving import LaneMemory, lane_store, place_and_die, processes, warm
from tests.market import Market, buyer_of_lane

pytestmark = pytest.mark.anyio


class Died(BaseException):
    """What a process meets that is killed; nothing catches it."""


class MortalStore(LaneStore):
    """The store of a process that dies before or after one call; `dies_at` is None once it has."""

    def __init__(self, redis_url: str, *, dies_at: tuple[str, str] | None = None) -> None:
        super().__init__(redis_url, rates=None, request_ttl_ms=REQUEST_TTL_MS)
        self.dies_at = dies_at
        self.fails = False

    async def take_units(self, lane: Lane, epoch: int, transfer_id: str, units: int) -> int:
        return await self._mortal("take", super().take_units(lane, epoch, transfer_id, units))

    async def give_units(self, lane: Lane, epoch: int, transfer_id: str, units: int) -> int:
        return await self._mortal("give", super().give_units(lane, epoch, transfer_id, units))

    async def _mortal(self, step: str, call: Awaitable[int]) -> int:
        if self.fails or self.dies_at == ("before", step):
            call.close()  # type: ignore[attr-defined]  # a coroutine, which must not be left unawaited.
            if self.fails:
                raise Overloaded("Redis does not answer")
            raise Died
        answer = await call
        if self.dies_at == ("after", step):
            raise Died
        return answer


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[LaneStore]:
    async with lane_store(redis_url) as store:
        yield store


@pytest.fixture
def mover(pool: asyncpg.Pool, store: LaneStore) -> StockMover:
    return StockMover(pool, store)


async def stock(market: Market, deal: str, lanes: int = 2) -> list[int]:
    return [(await market.lane(deal, no))["stock_units"] for no in range(lanes)]


async def left_in_redis(redis: Redis, deal: str, lanes: int = 2) -> list[int]:
    return [await LaneMemory.of(redis, deal, no).units_left() for no in range(lanes)]


async def open_transfers(pool: asyncpg.Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM stock_transfers")
    return count


async def raise_epoch(pool: asyncpg.Pool, deal: str, lane_no: int) -> None:
    """Makes a lane cold, as a change of its deal does."""
    await pool.execute(
        "UPDATE lanes SET epoch = epoch + 1 WHERE deal_id = $1 AND lane_no = $2", deal, lane_no
    )


async def warm_deal(market: Market, redis_url: str, *, stock: int = 20) -> tuple[str, list[int]]:
    """A deal of two warm lanes, and their epochs."""
    deal = await market.deal(stock=stock, lanes=2)
    return deal, [await warm(market.pool, redis_url, deal, no) for no in range(2)]


async def differences(pool: asyncpg.Pool, store: LaneStore, deal: str, lanes: int = 2) -> list[Any]:
    found = [await differences_of_lane(pool, store, Lane(deal, no)) or () for no in range(lanes)]
    return [difference for lane in found for difference in lane]


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


async def test_seats_on_their_way_to_postgres_are_not_taken_from_under_them(
    market: Market, redis_url: str, pool: asyncpg.Pool, mover: StockMover
) -> None:
    deal, _ = await warm_deal(market, redis_url, stock=4)
    await place_and_die(pool, redis_url, market.wish("ann", deal=deal, quantity=2), lane_no=1)
    assert not await mover.gather(Lane(deal, 0), 3)
    assert await stock(market, deal) == [2, 2]


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
