"""Who is forgotten leaves Redis' lanes at the cost of their own orders, and no sale stands still for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.desk import home_lane
from groups.engine import GroupEngine, open_engine
from groups.forgetting import FORGOTTEN_OUTLIVED_MS
from groups.inspection import differences_of_lane
from groups.keys import Lane
from groups.lane_store import LaneStore, RateLimits
from groups.listeners import Listeners
from groups.rebuild import Rebuilder
from groups.reconciler import Reconciler
from pintuan.base.stores.embedded import EmbeddedRedis
from pintuan.money.refunds.schemas import NewRefund
from pintuan.money.refunds.service import ask_refund
from pintuan.people.personal.erasures import insert_erasure
from tests.erasing import Eraser
from tests.integration.groups.conftest import Sound
from tests.integration.groups.test_interleavings_lanes import SlowStore
from tests.interleaving import LaneMemory, place_and_die
from tests.market import Market, buyer_of_lane, digest

pytestmark = pytest.mark.anyio

LANES = 2
STRANGERS = 12
RELEASES_MAX = 100
ORDERS_MAX = 50
OTHER_REDIS = "0" * 40


@dataclass
class Sale:
    """An engine with rates whose rebuilds are counted, and an eraser beside it."""

    engine: GroupEngine
    eraser: Eraser
    market: Market
    rebuilds: list[int]

    async def buy(self, buyer: str, deal: str, **wish: Any) -> str:
        placed = await self.engine.place(self.market.wish(buyer, deal=deal, **wish))
        return placed.order_id

    async def decline(self, *order_ids: str) -> None:
        await self.market.end("declined", *order_ids)
        await self.engine.apply_seat_releases(RELEASES_MAX)

    async def capture(self, order_id: str, *, tell: bool = True) -> None:
        """Lets the order's group end with all payments made; Redis is told of its seats, or not yet."""
        await self.market.authorise(order_id)
        await self.market.pass_deadline(await self.market.group_of(order_id))
        await self.engine.advance_due_groups(10)
        for kind in ("capture", "void"):
            await self.market.end_operations(kind)
        await self.market.pass_settling()
        await self.engine.advance_due_groups(10)
        assert (await self.market.order(order_id))["status"] == "captured"
        if tell:
            await self.engine.apply_seat_releases(RELEASES_MAX)

    async def erase(self, subject: str) -> None:
        async with self.market.pool.acquire() as connection:
            await insert_erasure(connection, subject)
        await self.look(subject)

    async def look(self, subject: str) -> None:
        await self.eraser.scrub(subject, rows_max=ORDERS_MAX)

    async def untold(self) -> int:
        count: int = await self.market.pool.fetchval("SELECT count(*) FROM forgotten_buyers")
        return count


@pytest.fixture
async def sale(pool: asyncpg.Pool, redis_url: str, market: Market) -> AsyncIterator[Sale]:
    async with open_sale(pool, redis_url, market) as sale:
        yield sale


@asynccontextmanager
async def open_sale(pool: asyncpg.Pool, redis_url: str, market: Market) -> AsyncIterator[Sale]:
    rebuilds: list[int] = []
    async with open_engine(
        pool, redis_url, rates=RateLimits(), listeners=Listeners(on_rebuild=rebuilds.append)
    ) as engine:
        yield Sale(engine, Eraser(pool, engine), market, rebuilds)


async def traces(redis: Any, name: str) -> list[str]:
    """The keys that name somebody, in a field, a member or a value."""
    found = []
    async for key in redis.scan_iter():
        kind = (await redis.type(key)).decode()
        parts: list[bytes] = [key]
        if kind == "hash":
            parts += [part for pair in (await redis.hgetall(key)).items() for part in pair]
        elif kind == "zset":
            parts += await redis.zrange(key, 0, -1)
        elif kind == "string":
            parts.append(await redis.get(key))
        if any(name.encode() in part for part in parts):
            found.append(key.decode().rpartition(":")[2])
    return sorted(found)


async def agrees(pool: asyncpg.Pool, store: LaneStore, deal: str, lane_no: int = 0) -> bool:
    """Whether the lane is warm and as Postgres has it."""
    return await differences_of_lane(pool, store, Lane(deal, lane_no)) == set()


async def units_of(redis: Redis, deal: str) -> dict[str, int]:
    """Redis' units of each buyer in the first lane."""
    memory = LaneMemory.of(redis, deal)
    raw = await memory.client.hgetall(memory.keys.buyers)
    return {name: record[0] for name, record in LaneMemory._decoded(raw).items()}


async def epochs(market: Market, deal: str, lanes: int) -> list[int]:
    return [(await market.lane(deal, no))["epoch"] for no in range(lanes)]


async def test_strangers_who_are_erased_during_a_sale_make_no_lane_cold(
    sale: Sale, market: Market, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal(stock=1_000, lanes=LANES, min_headcount=1, ladder=((1, 900),))
    strangers = [f"stranger-{n}" for n in range(STRANGERS)]
    # One of them has paid; its units count on, for its alias.
    await sale.capture(await sale.buy(strangers[0], deal))
    for n in range(6):
        await sale.buy(f"member-{n}", deal)
    await sale.decline(*[await sale.buy(stranger, deal) for stranger in strangers[1:]])
    sale.rebuilds.clear()
    before = await epochs(market, deal, LANES)

    for n, stranger in enumerate(strangers):
        await sale.erase(stranger)
        await sale.buy(f"late-{n}", deal)

    assert sale.rebuilds == []
    assert await epochs(market, deal, LANES) == before
    assert await sale.untold() == 0
    assert await traces(redis, "stranger-") == []
    assert len(await traces(redis, "late-0")) > 0
    await sound()


async def test_an_erasure_tells_lanes_its_person_ordered_from_and_no_other(
    sale: Sale, market: Market, pool: asyncpg.Pool, store: LaneStore, redis: Redis
) -> None:
    deal = await market.deal(lanes=LANES)
    for lane_no in range(LANES):
        await sale.buy(buyer_of_lane(lane_no, LANES, besides="ann"), deal)
    ann = "ann"
    await sale.decline(await sale.buy(ann, deal))
    # As it is once some time has gone by.
    memory: Any = redis
    keys = LaneMemory.of(redis, deal, home_lane(ann, LANES)).keys
    await memory.rename(keys.rates, keys.earlier)
    # What else is in the lanes stays as it is.
    others = {no: await redis.dump(LaneMemory.of(redis, deal, no).keys.seats) for no in range(LANES)}
    sale.rebuilds.clear()

    await sale.erase(ann)

    assert await traces(redis, ann) == []
    assert others == {no: await redis.dump(LaneMemory.of(redis, deal, no).keys.seats) for no in range(LANES)}
    assert [await agrees(pool, store, deal, no) for no in range(LANES)] == [True] * LANES
    assert sale.rebuilds == []


async def test_units_that_are_paid_for_move_to_the_alias_and_seats_that_wait_stay(
    sale: Sale, market: Market, pool: asyncpg.Pool, store: LaneStore, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),))
    paid = await sale.buy("ann", deal, quantity=3)
    await sale.capture(paid)
    waiting = await sale.buy("ann", deal, quantity=2)
    await market.authorise(waiting)
    sale.rebuilds.clear()

    await sale.erase("ann")
    alias = (await market.order(paid))["buyer_id"]
    assert await units_of(redis, deal) == {alias: 3, "ann": 2}
    assert await agrees(pool, store, deal)

    await sale.capture(waiting)
    await sale.look("ann")
    assert await units_of(redis, deal) == {alias: 5}
    assert await traces(redis, "ann") == []
    assert sale.rebuilds == []
    await sound()


async def test_units_of_an_order_whose_refund_is_on_its_way_stay_the_buyers(
    sale: Sale, market: Market, pool: asyncpg.Pool, store: LaneStore, redis: Redis
) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),))
    paid, returned = [await sale.buy("ann", deal, quantity=n, verb="open") for n in (1, 2)]
    await sale.capture(paid)
    await sale.capture(returned)
    asked = await ask_refund(
        pool,
        returned,
        NewRefund(amount=None, reason="returned"),
        merchant_id="acme",
        asked_by="acme",
        request_id=digest(returned),
        body_digest=digest("all"),
    )
    assert asked

    await sale.erase("ann")

    alias = (await market.order(paid))["buyer_id"]
    assert await units_of(redis, deal) == {alias: 1, "ann": 2}
    assert await agrees(pool, store, deal)


async def test_a_lane_is_told_of_a_paid_seat_before_it_forgets_whose_it_was(
    sale: Sale, market: Market, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),))
    order = await sale.buy("ann", deal)
    await sale.capture(order, tell=False)
    # As when the lane did not answer a moment ago.
    await market.pool.execute("UPDATE seat_releases SET due_at = app_now() + interval '1 minute'")

    await sale.erase("ann")
    assert await sale.untold() == 1

    await market.pool.execute("UPDATE seat_releases SET due_at = app_now()")
    await sale.engine.apply_seat_releases(RELEASES_MAX)
    await sale.look("ann")
    assert await sale.untold() == 0
    assert await traces(redis, "ann") == []
    await sound()


async def test_a_join_that_races_the_erasure_keeps_its_seat_until_it_ends(
    sale: Sale,
    market: Market,
    pool: asyncpg.Pool,
    redis_url: str,
    store: LaneStore,
    redis: Redis,
    sound: Sound,
) -> None:
    deal = await market.deal()
    await sale.decline(await sale.buy("ann", deal))
    seat = await place_and_die(pool, redis_url, market.wish("ann", deal=deal, verb="open"))

    await sale.erase("ann")
    assert list(await LaneMemory.of(redis, deal).seats()) == [seat.order_id]
    assert await units_of(redis, deal) == {"ann": 1}

    await LaneMemory.of(redis, deal).age_pending()
    assert await Reconciler(pool, store, Listeners()).reconcile_orphans() == 1
    assert await traces(redis, "ann") == []
    await sound()


async def test_a_rebuild_that_read_the_name_before_it_was_forgotten_does_not_bring_it_back(
    sale: Sale, market: Market, pool: asyncpg.Pool, redis_url: str, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),))
    await sale.capture(await sale.buy("ann", deal))
    await redis.flushall()
    slow = SlowStore(redis_url)
    rebuilding = asyncio.create_task(Rebuilder(pool, slow, Listeners()).warm(Lane(deal, 0)))
    await slow.reached.wait()

    try:
        await sale.erase("ann")
    finally:
        slow.go_on.set()
    assert await sale.untold() == 1
    await rebuilding
    await slow.close()
    assert await traces(redis, "ann") == ["buyers"]

    sale.rebuilds.clear()
    await sale.look("ann")
    assert await sale.untold() == 0
    assert await traces(redis, "ann") == []
    await sale.buy("bob", deal)
    assert sale.rebuilds == []
    await sound()


async def test_a_lane_that_stays_cold_loses_the_name_at_once_and_is_fenced_when_no_rebuild_can_bring_it_back(
    sale: Sale, market: Market, pool: asyncpg.Pool, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),))
    await sale.capture(await sale.buy("ann", deal))
    # As a file leaves it that was written by a Redis that ran before.
    meta: Any = redis
    await meta.hset(LaneMemory.of(redis, deal).keys.meta, "token", f"1:{OTHER_REDIS}")
    epoch = (await market.lane(deal))["epoch"]

    await sale.erase("ann")
    assert await traces(redis, "ann") == []
    await sale.look("ann")
    assert (await sale.untold(), (await market.lane(deal))["epoch"]) == (1, epoch)

    await pool.execute(
        "UPDATE forgotten_buyers SET noted_at = noted_at - $1 * interval '1 millisecond'",
        FORGOTTEN_OUTLIVED_MS,
    )
    await sale.look("ann")
    assert (await sale.untold(), (await market.lane(deal))["epoch"]) == (0, epoch + 1)
    await sale.buy("bob", deal)
    await sound()


@pytest.mark.slow
async def test_a_redis_that_is_away_is_told_when_it_is_back(
    pool: asyncpg.Pool, own_redis: EmbeddedRedis, market: Market
) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),))
    async with open_sale(pool, own_redis.url, market) as sale:
        await sale.capture(await sale.buy("ann", deal))
        await own_redis.kill()

        await sale.erase("ann")
        assert await sale.untold() == 1
        assert (await market.orders())[0]["buyer_id"].startswith("erased_")

        await own_redis.start()
        await own_redis.wait_ready()
        await sale.buy("bob", deal)
        await sale.look("ann")
        assert await sale.untold() == 0
        async with Redis.from_url(own_redis.url) as redis:
            assert await traces(redis, "ann") == []
            assert await traces(redis, "bob") != []
