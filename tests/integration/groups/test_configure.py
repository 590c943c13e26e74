"""A changed deal reaches a lane as it stands where that is safe, and by a rebuild where it is not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine, open_engine
from groups.errors import DealNotActive, SoldOut
from groups.inspection import differences_of_lane
from groups.keys import Lane
from groups.lane_store import LaneStore
from groups.listeners import Listeners
from groups.rebuild import Rebuilder
from groups.reconciler import RELEASE_OUTLIVED_MS
from sql import load_queries
from tests.integration.groups.conftest import Sound
from tests.interleaving import LOCK_LANE, LaneMemory, holding, place_and_die
from tests.market import Market
from tests.waiting import until

pytestmark = pytest.mark.anyio

DEALS = load_queries("pintuan.shop.deals")
SEATS_MAX = 10


@dataclass
class Changes:
    """Changes a deal as a merchant does; `rebuilds` counts the lanes this test's process rebuilt since."""

    pool: asyncpg.Pool
    rebuilds: int = field(default=0)

    async def make(self, deal: str, sql: str = "", *, added_units: int = 0) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            assignments = f"stock_units = stock_units + {added_units}" + (f", {sql}" if sql else "")
            await connection.execute(f"UPDATE deals SET {assignments} WHERE id = $1", deal)  # noqa: S608 - of this test
            await connection.execute(DEALS["raise_lanes"], deal, added_units)
        self.rebuilds = 0

    def count(self, rebuilds: int) -> None:
        self.rebuilds += rebuilds


@pytest.fixture
def changes(pool: asyncpg.Pool) -> Changes:
    return Changes(pool)


@pytest.fixture
async def counted(pool: asyncpg.Pool, redis_url: str, changes: Changes) -> AsyncIterator[GroupEngine]:
    """An engine whose rebuilds are counted."""
    async with open_engine(
        pool, redis_url, rates=None, listeners=Listeners(on_rebuild=changes.count)
    ) as engine:
        yield engine


async def quiet(redis: Redis, deal: str) -> None:
    """Returns once the lane knows that every seat it gave out is recorded."""
    memory = LaneMemory.of(redis, deal)

    async def known() -> bool:
        return not await memory.pending()

    await until(known)


async def agrees(pool: asyncpg.Pool, store: LaneStore, deal: str) -> bool:
    """Whether the lane is warm and as Postgres has it."""
    return await differences_of_lane(pool, store, Lane(deal, 0)) == set()


async def test_added_stock_is_sold_without_a_rebuild(
    counted: GroupEngine,
    another_engine: GroupEngine,
    market: Market,
    changes: Changes,
    pool: asyncpg.Pool,
    store: LaneStore,
    sound: Sound,
) -> None:
    deal = await market.deal(stock=1)
    await counted.place(market.wish("ann", deal=deal))
    epoch = (await market.lane(deal))["epoch"]
    for _ in range(3):
        await changes.make(deal, added_units=2)
        await counted.deal_changed(deal)
        assert changes.rebuilds == 0
        assert await agrees(pool, store, deal)
    assert (await market.lane(deal))["epoch"] == epoch + 3
    for n, one in enumerate((another_engine, counted) * 3):
        await one.place(market.wish(f"buyer-{n}", deal=deal))
    with pytest.raises(SoldOut):
        await counted.place(market.wish("late", deal=deal))
    assert changes.rebuilds == 0
    await sound()


async def test_a_join_takes_a_change_over_where_nobody_told_the_lane(
    counted: GroupEngine, market: Market, changes: Changes, pool: asyncpg.Pool, store: LaneStore, sound: Sound
) -> None:
    deal = await market.deal(stock=1)
    await counted.place(market.wish("ann", deal=deal))
    await changes.make(deal, added_units=1)
    await counted.place(market.wish("bob", deal=deal))
    assert changes.rebuilds == 0
    assert await agrees(pool, store, deal)
    await sound()


async def test_a_lane_without_seats_on_their_way_is_paused_resumed_and_ended_as_it_stands(
    counted: GroupEngine,
    another_engine: GroupEngine,
    market: Market,
    changes: Changes,
    redis: Redis,
    pool: asyncpg.Pool,
    store: LaneStore,
    sound: Sound,
) -> None:
    deal = await market.deal()
    group = await market.group_of((await counted.place(market.wish("ann", deal=deal))).order_id)
    await quiet(redis, deal)
    await changes.make(deal, "status = 'paused'")
    await counted.deal_changed(deal)
    for one in (counted, another_engine):
        with pytest.raises(DealNotActive):
            await one.place(market.wish("bob", group=group))
    await changes.make(deal, "status = 'active'")
    await counted.deal_changed(deal)
    await another_engine.place(market.wish("bob", group=group))
    await quiet(redis, deal)
    await changes.make(deal, "status = 'ended'")
    await counted.deal_changed(deal)
    assert changes.rebuilds == 0
    with pytest.raises(DealNotActive):
        await another_engine.place(market.wish("cid", deal=deal, verb="open"))
    await another_engine.place(market.wish("cid", group=group))
    assert changes.rebuilds == 0
    assert await agrees(pool, store, deal)
    await sound()


@pytest.mark.parametrize(
    ("before", "after", "rebuilds"),
    [
        ("NULL", "app_now() + interval '1 day'", 1),
        ("app_now() + interval '2 days'", "app_now() + interval '1 day'", 1),
        ("app_now() + interval '1 day'", "app_now() + interval '2 days'", 0),
        ("app_now() + interval '1 day'", "NULL", 0),
    ],
)
async def test_an_end_that_comes_earlier_is_not_taken_over_while_a_seat_is_on_its_way(
    counted: GroupEngine,
    market: Market,
    changes: Changes,
    pool: asyncpg.Pool,
    redis: Redis,
    redis_url: str,
    sound: Sound,
    before: str,
    after: str,
    rebuilds: int,
) -> None:
    deal = await market.deal()
    await pool.execute(f"UPDATE deals SET ends_at = {before}")  # noqa: S608 - of this test
    await place_and_die(pool, redis_url, market.wish("ann", deal=deal))
    await changes.make(deal, f"ends_at = {after}")
    await counted.deal_changed(deal)
    assert changes.rebuilds == rebuilds
    await counted.place(market.wish("bob", deal=deal))
    await LaneMemory.of(redis, deal).age_pending()
    await counted.reconcile_orphans()
    await sound()


async def test_a_seat_that_was_on_its_way_when_its_deal_was_paused_is_never_recorded(
    counted: GroupEngine, market: Market, changes: Changes, pool: asyncpg.Pool, redis_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    wish = market.wish("ann", deal=deal)
    await place_and_die(pool, redis_url, wish)
    await changes.make(deal, "status = 'paused'")
    await counted.deal_changed(deal)
    assert changes.rebuilds == 1
    with pytest.raises(DealNotActive):
        await counted.place(wish)
    assert await market.orders() == []
    await sound()


async def test_a_batch_that_a_change_overtook_keeps_its_seats_and_is_answered_as_new(
    counted: GroupEngine,
    market: Market,
    changes: Changes,
    database_url: str,
    redis: Redis,
    pool: asyncpg.Pool,
    store: LaneStore,
    sound: Sound,
) -> None:
    deal = await market.deal()
    await counted.place(market.wish("ann", deal=deal))
    changes.rebuilds = 0
    wish = market.wish("bob", deal=deal)
    async with holding(database_url, LOCK_LANE, deal, 0) as holder:
        join = asyncio.create_task(counted.place(wish))
        await holder.waiters()
        # The change commits first, so the join fails at the fence and is placed again.
        await holder.connection.execute(DEALS["raise_lanes"], deal, 0)
        await holder.commit()
        recorded = await join
    assert not recorded.replayed
    assert changes.rebuilds == 0
    assert len(await market.orders(buyer_id="bob")) == 1
    assert len(await LaneMemory.of(redis, deal).seats()) == 2
    assert await agrees(pool, store, deal)
    assert (await counted.place(wish)).replayed
    await sound()


async def test_seats_on_their_way_stay_orphans_and_are_freed(
    counted: GroupEngine,
    market: Market,
    changes: Changes,
    pool: asyncpg.Pool,
    redis: Redis,
    redis_url: str,
    store: LaneStore,
    sound: Sound,
) -> None:
    deal = await market.deal(stock=2)
    await place_and_die(pool, redis_url, market.wish("ann", deal=deal))
    await changes.make(deal, added_units=1)
    await counted.deal_changed(deal)
    assert changes.rebuilds == 0
    memory = LaneMemory.of(redis, deal)
    assert await memory.units_left() == 2
    await memory.age_pending()
    assert await counted.reconcile_orphans() == 1
    assert await memory.units_left() == 3
    assert await agrees(pool, store, deal)
    await sound()


async def test_two_changes_that_the_lane_missed_take_a_rebuild(
    counted: GroupEngine, market: Market, changes: Changes, pool: asyncpg.Pool, store: LaneStore
) -> None:
    deal = await market.deal(stock=1)
    await counted.place(market.wish("ann", deal=deal))
    await changes.make(deal, added_units=2)
    await changes.make(deal, added_units=3)
    await counted.deal_changed(deal)
    assert changes.rebuilds == 1
    assert await agrees(pool, store, deal)


async def test_a_lane_that_is_not_believed_is_rebuilt_although_its_deal_changed(
    counted: GroupEngine, market: Market, changes: Changes, pool: asyncpg.Pool, store: LaneStore, redis: Redis
) -> None:
    deal = await market.deal()
    await counted.place(market.wish("ann", deal=deal))
    distrusted = (await market.lane(deal))["epoch"]
    await LaneMemory.of(redis, deal).write_units_left(1)
    await changes.make(deal, added_units=2)
    await Rebuilder(pool, store, Listeners(on_rebuild=changes.count)).warm(
        Lane(deal, 0), distrusted_epoch=distrusted
    )
    assert changes.rebuilds == 1
    assert await agrees(pool, store, deal)


async def test_a_lane_that_a_transfer_took_from_is_rebuilt(
    counted: GroupEngine, market: Market, changes: Changes, pool: asyncpg.Pool, store: LaneStore
) -> None:
    deal = await market.deal()
    await counted.place(market.wish("ann", deal=deal))
    # Whoever took these units died, and its transfer was given up because the epoch rose.
    await store.take_units(Lane(deal, 0), (await market.lane(deal))["epoch"], "mov_1", 5)
    await changes.make(deal, added_units=2)
    await counted.deal_changed(deal)
    assert changes.rebuilds == 1
    assert await agrees(pool, store, deal)


async def test_a_lane_does_not_come_back_without_the_releases_it_was_too_cold_for(
    counted: GroupEngine, market: Market, changes: Changes, pool: asyncpg.Pool, store: LaneStore, sound: Sound
) -> None:
    deal = await market.deal()
    order = (await counted.place(market.wish("ann", deal=deal))).order_id
    await changes.make(deal, added_units=2)
    await market.end("declined", order)
    await pool.execute(
        "UPDATE seat_releases SET created_at = app_now() - ($1 + 1000) * interval '1 millisecond'",
        RELEASE_OUTLIVED_MS,
    )
    # Nobody has joined since the change, so the lane is still cold and the release is given up.
    assert await counted.apply_seat_releases(SEATS_MAX) == 1
    await counted.deal_changed(deal)
    assert changes.rebuilds == 1
    assert await agrees(pool, store, deal)
    await sound()
