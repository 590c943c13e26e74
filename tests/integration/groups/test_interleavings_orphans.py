"""A seat nobody recorded goes to somebody else, and whoever comes late for it is told to come again."""

import asyncio

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine, open_engine
from groups.errors import GroupClosed, Overloaded
from groups.keys import Lane
from groups.record import QUERIES, Recorder
from tests.integration.groups.conftest import Sound
from tests.interleaving import LOCK_GROUP, LaneMemory, TroubledPool, holding, lane_store, place_and_die
from tests.market import Market

pytestmark = pytest.mark.anyio

RECORD = QUERIES["record_placements"]


async def test_an_insert_that_arrives_after_the_reconciler_fails_and_its_key_gets_a_fresh_seat(
    engine: GroupEngine,
    another_engine: GroupEngine,
    market: Market,
    redis: Redis,
    database_url: str,
    sound: Sound,
) -> None:
    deal = await market.deal()
    group = await market.group_of((await engine.place(market.wish("ann", deal=deal))).order_id)
    memory = LaneMemory.of(redis, deal)
    wish = market.wish("bob", group=group)
    async with holding(database_url, LOCK_GROUP, group) as held:
        late = asyncio.create_task(engine.place(wish))
        await held.waiters(1)
        await memory.age_pending()
        assert await another_engine.reconcile_orphans() == 1
        somebody = asyncio.create_task(another_engine.place(market.wish("cid", group=group)))
        await held.waiters(2)
        await held.commit()
        with pytest.raises(Overloaded):
            await late
        await somebody
    seats = {order["buyer_id"]: order["seat"] for order in await market.orders(group_id=group)}
    assert seats == {"ann": 1, "cid": 2}
    again = await engine.place(wish)
    assert (again.replayed, (await market.order(again.order_id))["seat"]) == (False, 3)
    await sound()


async def test_a_key_orphaned_twice_keeps_its_newer_seat_from_being_inserted_late(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis: Redis, redis_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    wish = market.wish("ann", deal=deal)
    memory = LaneMemory.of(redis, deal)
    for _ in range(2):
        seat = await place_and_die(pool, redis_url, wish)
        await memory.age_pending()
        assert await engine.reconcile_orphans() == 1
    late = await Recorder(pool, hold_ms=1000).record([seat], epoch=(await market.lane(deal))["epoch"])
    assert not late.recorded
    assert await market.orders(deal_id=deal) == []
    assert not (await engine.place(wish)).replayed
    await sound()


async def test_the_reconciler_waits_for_an_insert_under_way_and_confirms_it(
    engine: GroupEngine,
    another_engine: GroupEngine,
    market: Market,
    redis: Redis,
    database_url: str,
    sound: Sound,
) -> None:
    deal = await market.deal()
    await engine.place(market.wish("ann", deal=deal, verb="solo"))
    memory = LaneMemory.of(redis, deal)
    async with holding(database_url, "SELECT FROM lanes WHERE deal_id = $1 FOR UPDATE", deal) as lane:
        joins = asyncio.create_task(engine.place(market.wish("bob", deal=deal)))
        await lane.waiters(1)
        await memory.age_pending()
        reconciles = asyncio.create_task(another_engine.reconcile_orphans())
        await lane.waiters(2)
        await lane.commit()
        assert await reconciles == 0
        assert not (await joins).replayed
    assert await memory.pending() == []
    await sound()


async def test_a_seat_whose_commit_nobody_confirmed_is_confirmed_and_stays(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis: Redis, redis_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    seat = await place_and_die(pool, redis_url, market.wish("ann", deal=deal))
    await Recorder(pool, hold_ms=60_000).record([seat], epoch=(await market.lane(deal))["epoch"])
    memory = LaneMemory.of(redis, deal)
    assert await memory.pending() == [seat.order_id]
    await memory.age_pending()
    assert await engine.reconcile_orphans() == 0
    assert await memory.pending() == []
    assert [*await memory.seats()] == [seat.order_id]
    await sound()


async def test_young_seats_are_not_taken_for_orphans(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis: Redis, redis_url: str
) -> None:
    deal = await market.deal()
    seat = await place_and_die(pool, redis_url, market.wish("ann", deal=deal))
    assert await engine.reconcile_orphans() == 0
    assert [*await LaneMemory.of(redis, deal).seats()] == [seat.order_id]


async def test_a_release_of_a_seat_that_somebody_else_has_by_now_changes_nothing(
    engine: GroupEngine, market: Market, redis: Redis, redis_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    first = await engine.place(market.wish("ann", deal=deal))
    left = await engine.place(market.wish("bob", deal=deal))
    bobs_request = (await market.order(left.order_id))["request_id"].hex()
    await market.end("declined", left.order_id)
    await engine.apply_seat_releases(10)
    heir = await engine.place(market.wish("cid", deal=deal))
    assert (await market.order(heir.order_id))["seat"] == 2
    memory = LaneMemory.of(redis, deal)
    before = await memory.groups(), await memory.seats(), await memory.units_left()
    epoch = (await market.lane(deal))["epoch"]
    async with lane_store(redis_url) as store:
        outcomes = await store.leave(
            Lane(deal, 0),
            epoch,
            [
                ("free", left.order_id, bobs_request),
                ("abandon", heir.order_id, bobs_request),
                ("free", first.order_id, "00" * 16),
            ],
        )
    assert outcomes == ["absent", "mismatch", "mismatch"]
    assert (await memory.groups(), await memory.seats(), await memory.units_left()) == before
    await sound()


async def test_a_refused_seat_is_given_back_at_once_and_its_request_forgotten(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis: Redis
) -> None:
    deal = await market.deal()
    group = await market.group_of((await engine.place(market.wish("ann", deal=deal))).order_id)
    await market.pass_deadline(group)
    memory = LaneMemory.of(redis, deal)
    wish = market.wish("bob", group=group)
    with pytest.raises(GroupClosed):
        await engine.place(wish)
    assert len(await memory.seats()) == 1
    assert await memory.units_left() == 99
    assert not await redis.exists(memory.keys.request(wish.request_id.hex()))
    keys = await pool.fetch(
        "SELECT abandoned FROM idempotency_keys ORDER BY request_id = $1", wish.request_id
    )
    assert [key["abandoned"] for key in keys] == [False, True]


async def test_a_statement_of_unknown_outcome_gives_no_seat_back(
    pool: asyncpg.Pool, redis_url: str, redis: Redis, market: Market
) -> None:
    deal = await market.deal()
    async with open_engine(pool, redis_url, rates=None) as engine:
        group = await market.group_of((await engine.place(market.wish("ann", deal=deal))).order_id)
    await market.pass_deadline(group)
    # By the time it is asked the group has closed, and still the statement may have been in time.
    troubled = TroubledPool(pool, RECORD, TimeoutError(), committed=False)
    async with troubled.engine(redis_url) as engine:
        with pytest.raises(GroupClosed):
            await engine.place(market.wish("bob", group=group))
    assert len(await LaneMemory.of(redis, deal).seats()) == 2
