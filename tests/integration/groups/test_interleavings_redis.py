"""A Redis that dies, forgets, comes back from the past or lies can slow a sale down and never oversell it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine, open_engine
from groups.errors import AlreadyJoined, GroupClosed, GroupFull, LimitReached, SoldOut
from groups.listeners import Listeners
from groups.record import QUERIES
from pintuan.base.stores.embedded import EmbeddedRedis
from tests.integration.groups.conftest import Sound, check_sound
from tests.interleaving import LaneMemory, TroubledPool, holding, outcomes_of, persist
from tests.market import Market

pytestmark = pytest.mark.anyio

RECORD = QUERIES["record_placements"]
LOCK_BUYER = "SELECT FROM deal_buyers WHERE buyer_id = $1 FOR UPDATE"
SOLD_BEFORE = 10


class Sale:
    """Sixty buyers for forty units, with an event for when the first ten have theirs."""

    def __init__(self, market: Market, deal: str) -> None:
        self.wishes = [market.wish(f"buyer-{n}", deal=deal) for n in range(60)]
        self.under_way = asyncio.Event()
        self._sold = 0

    def on_recorded(self, count: int) -> None:
        self._sold += count
        if self._sold >= SOLD_BEFORE:
            self.under_way.set()

    async def run(self, engine: GroupEngine) -> dict[int, str]:
        """Returns who got which order, once everybody was served or refused."""
        # A few at a time, so that the sale is still going on when something happens to it.
        slots = asyncio.Semaphore(6)

        async def buy(n: int) -> str | None:
            async with slots:
                try:
                    return (await persist(engine, self.wishes[n])).order_id
                except SoldOut:
                    return None

        answers = await asyncio.gather(*(buy(n) for n in range(len(self.wishes))))
        return {n: order_id for n, order_id in enumerate(answers) if order_id is not None}


@asynccontextmanager
async def sale_on(
    pool: asyncpg.Pool, redis_url: str, market: Market
) -> AsyncIterator[tuple[Sale, GroupEngine, asyncio.Task[dict[int, str]]]]:
    """A sale that has sold `SOLD_BEFORE`; at the end it must have sold everything, once."""
    deal = await market.deal(stock=40)
    sale = Sale(market, deal)
    async with open_engine(pool, redis_url, rates=None, listeners=Listeners(sale.on_recorded)) as engine:
        running = asyncio.create_task(sale.run(engine))
        await sale.under_way.wait()
        yield sale, engine, running
        served = await running
        orders = await market.orders(deal_id=deal)
        assert sorted(served.values()) == sorted(order["id"] for order in orders)
        assert len(orders) == (await market.lane(deal))["sold_units"] == 40
        for n, order_id in served.items():
            replay = await persist(engine, sale.wishes[n])
            assert (replay.order_id, replay.replayed) == (order_id, True)
    await check_sound(pool, redis_url)


async def test_a_sale_survives_that_redis_is_killed_and_restarted(
    pool: asyncpg.Pool, own_redis: EmbeddedRedis, market: Market
) -> None:
    async with sale_on(pool, own_redis.url, market):
        await own_redis.kill()
        await own_redis.start()
        await own_redis.wait_ready()


async def test_a_sale_survives_that_redis_forgets_everything(
    pool: asyncpg.Pool, redis_url: str, redis: Redis, market: Market
) -> None:
    async with sale_on(pool, redis_url, market):
        await redis.flushall()


async def test_a_sale_survives_a_redis_from_the_past(
    pool: asyncpg.Pool, own_redis: EmbeddedRedis, market: Market
) -> None:
    past = b""
    async with sale_on(pool, own_redis.url, market) as (sale, engine, running):
        past = (own_redis.directory / "appendonly.aof").read_bytes()
        await running
        await own_redis.kill()
        (own_redis.directory / "appendonly.aof").write_bytes(past)
        await own_redis.start()
        await own_redis.wait_ready()
        # What the past still had on sale is long sold.
        late = await outcomes_of(
            persist(engine, market.wish(f"late-{n}", deal=sale.wishes[0].deal_id)) for n in range(20)
        )
        assert {type(outcome) for outcome in late} == {SoldOut}
    assert past


async def test_what_a_redis_from_the_past_would_refuse_is_not_refused_now(
    pool: asyncpg.Pool, own_redis: EmbeddedRedis, market: Market
) -> None:
    deal = await market.deal(stock=1)
    async with open_engine(pool, own_redis.url, rates=None) as engine:
        sold = await engine.place(market.wish("ann", deal=deal))
        past = (own_redis.directory / "appendonly.aof").read_bytes()
        await market.end("declined", sold.order_id)
        await engine.apply_seat_releases(10)
        await own_redis.kill()
        (own_redis.directory / "appendonly.aof").write_bytes(past)
        await own_redis.start()
        await own_redis.wait_ready()
        # At the epoch of the past, which still is the epoch of now, the deal was sold out.
        assert not (await persist(engine, market.wish("bob", deal=deal))).replayed
    await check_sound(pool, own_redis.url)


async def test_refusals_never_ask_postgres_to_record_anything(
    pool: asyncpg.Pool, redis_url: str, market: Market
) -> None:
    deal = await market.deal(stock=3, max_headcount=2, min_headcount=2, per_buyer=2)
    small = await market.deal(per_buyer=1)
    async with open_engine(pool, redis_url, rates=None) as engine:
        group = await market.group_of((await engine.place(market.wish("ann", deal=deal))).order_id)
        await engine.place(market.wish("bob", deal=deal))
        await engine.place(market.wish("cid", deal=deal, verb="solo"))
        await engine.place(market.wish("ann", deal=small, verb="solo"))
    nothing_recorded = TroubledPool(pool, RECORD, TimeoutError(), times=100, committed=False)
    async with nothing_recorded.engine(redis_url) as engine:
        outcomes = await outcomes_of(
            engine.place(wish)
            for wish in (
                market.wish("dan", deal=deal),
                market.wish("dan", group=group),
                market.wish("ann", group=group),
                market.wish("ann", deal=small, verb="solo"),
            )
        )
    assert [type(outcome) for outcome in outcomes] == [SoldOut, GroupFull, AlreadyJoined, LimitReached]
    assert nothing_recorded.left == 100


async def test_a_seat_placed_before_a_rebuild_and_committed_after_it_is_fenced_and_placed_again(
    engine: GroupEngine,
    another_engine: GroupEngine,
    market: Market,
    redis: Redis,
    database_url: str,
    sound: Sound,
) -> None:
    deal = await market.deal()
    await engine.place(market.wish("ann", deal=deal, verb="solo"))
    async with holding(database_url, LOCK_BUYER, "ann") as buyer:
        joins = asyncio.create_task(engine.place(market.wish("ann", deal=deal)))
        await buyer.waiters(1)
        old_seats = await LaneMemory.of(redis, deal).seats()
        await redis.flushall()
        await another_engine.place(market.wish("bob", deal=deal, verb="open"))
        await buyer.commit()
        joined = await joins
    assert not joined.replayed
    assert joined.order_id not in old_seats
    assert len(await market.orders(deal_id=deal)) == 3
    await sound()


async def test_units_that_only_redis_believes_in_are_not_sold(
    engine: GroupEngine, market: Market, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal(stock=5)
    await engine.place(market.wish("ann", deal=deal, verb="solo", quantity=2))
    await LaneMemory.of(redis, deal).write_units_left(50)
    outcomes = await outcomes_of(engine.place(market.wish(f"buyer-{n}", deal=deal)) for n in range(8))
    assert [type(outcome).__name__ for outcome in outcomes] == ["Recorded"] * 3 + ["SoldOut"] * 5
    await sound()


async def test_a_seat_that_redis_gives_out_twice_is_taken_once(
    engine: GroupEngine, market: Market, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal()
    group = await market.group_of((await engine.place(market.wish("ann", deal=deal))).order_id)
    await engine.place(market.wish("bob", group=group))
    await LaneMemory.of(redis, deal).write_group(group, taken=1, next_seat=2)
    outcomes = await outcomes_of(engine.place(market.wish(f"buyer-{n}", deal=deal)) for n in range(3))
    assert {type(outcome).__name__ for outcome in outcomes} == {"Recorded"}
    assert [order["seat"] for order in await market.orders(group_id=group)] == [1, 2, 3, 4, 5]
    await sound()


async def test_a_seat_beyond_the_capacity_is_not_taken(
    engine: GroupEngine, market: Market, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal(min_headcount=2, max_headcount=2)
    group = await market.group_of((await engine.place(market.wish("ann", deal=deal))).order_id)
    await engine.place(market.wish("bob", group=group))
    await LaneMemory.of(redis, deal).write_group(group, capacity=9)
    third = await engine.place(market.wish("cid", deal=deal))
    assert await market.group_of(third.order_id) != group
    await sound()


async def test_a_member_whom_redis_forgot_does_not_get_a_second_seat(
    engine: GroupEngine, market: Market, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal()
    first = await engine.place(market.wish("ann", deal=deal))
    memory = LaneMemory.of(redis, deal)
    await redis.delete(memory.keys.buyers)
    with pytest.raises(AlreadyJoined) as refused:
        await engine.place(market.wish("ann", group=await market.group_of(first.order_id)))
    assert refused.value.order_id == first.order_id
    await sound()


async def test_a_closed_group_that_redis_takes_for_open_stays_closed(
    engine: GroupEngine, market: Market, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),))
    first = await engine.place(market.wish("ann", deal=deal))
    group = await market.group_of(first.order_id)
    await market.authorise(first.order_id)
    await market.pass_deadline(group)
    await engine.advance_due_groups(10)
    memory = LaneMemory.of(redis, deal)
    assert (await memory.groups())[group][0] == "closed"
    await memory.write_group(group, status="open", deadline=4_000_000_000_000)
    with pytest.raises(GroupClosed):
        await engine.place(market.wish("bob", group=group))
    assert (await memory.groups())[group][0] == "closed"
    # Nobody is sent there by auto-placement either.
    await memory.write_group(group, status="open", deadline=4_000_000_000_000)
    elsewhere = await engine.place(market.wish("cid", deal=deal))
    assert await market.group_of(elsewhere.order_id) != group
    await sound()
