"""One idempotency key makes one order, however its calls meet, time out or die."""

import asyncio

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine, open_engine
from groups.errors import GroupClosed, IdempotencyInFlight, LimitReached, Overloaded
from groups.listeners import Listeners
from groups.record import QUERIES
from tests.integration.groups.conftest import Sound
from tests.interleaving import (
    LOCK_GROUP,
    LOCK_LANE,
    BackgroundPool,
    LaneMemory,
    TroubledPool,
    holding,
    outcomes_of,
    warm,
)
from tests.market import Market, buyer_of_lane

pytestmark = pytest.mark.anyio

RECORD = QUERIES["record_placements"]


async def test_one_key_through_two_processes_makes_one_order(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal()
    for n in range(30):
        wish = market.wish(f"buyer-{n}", deal=deal)
        answers = await asyncio.gather(*(one.place(wish) for one in (engine, another_engine, engine)))
        assert len({answer.order_id for answer in answers}) == 1
        assert sum(not answer.replayed for answer in answers) <= 1
    assert len(await market.orders(deal_id=deal)) == 30
    await sound()


async def test_a_key_repeated_while_its_first_statement_is_parked_replays_it(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, database_url: str, redis_url: str
) -> None:
    deal = await market.deal()
    await warm(market.pool, redis_url, deal)
    wish = market.wish("ann", deal=deal)
    async with holding(database_url, LOCK_LANE, deal, 0) as lane:
        first = asyncio.create_task(engine.place(wish))
        await lane.waiters(1)
        second = asyncio.create_task(another_engine.place(wish))
        await lane.waiters(2)
        await lane.commit()
        answers = await first, await second
    assert [answer.replayed for answer in answers] == [False, True]
    assert answers[0].order_id == answers[1].order_id
    assert len(await market.orders(deal_id=deal)) == 1


async def test_a_key_repeated_while_its_first_call_stays_undecided_is_in_flight(
    engine: GroupEngine,
    another_engine: GroupEngine,
    market: Market,
    database_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("groups.record.RECORD_TIMEOUT_S", 0.3)
    deal = await market.deal()
    await warm(market.pool, redis_url, deal)
    wish = market.wish("ann", deal=deal)
    async with holding(database_url, LOCK_LANE, deal, 0) as lane:
        first = asyncio.create_task(engine.place(wish))
        await lane.waiters(1)
        with pytest.raises(IdempotencyInFlight):
            await another_engine.place(wish)
        with pytest.raises(Overloaded):
            await first
    assert (await another_engine.place(wish)).order_id == (await engine.place(wish)).order_id


async def test_a_statement_that_committed_and_lost_its_answer_gives_the_buyer_the_order(
    pool: asyncpg.Pool, redis_url: str, redis: Redis, market: Market, sound: Sound
) -> None:
    rung: list[int] = []
    deal = await market.deal()
    troubled = TroubledPool(pool, RECORD, TimeoutError(), committed=True)
    async with troubled.engine(redis_url, listeners=Listeners(rung.append)) as engine:
        placed = await engine.place(market.wish("ann", deal=deal))
    assert not placed.replayed
    assert rung == [1]
    assert (await market.order(placed.order_id))["status"] == "held"
    memory = LaneMemory.of(redis, deal)
    assert await memory.pending() == []
    # Its group is known to be committed: the share code is not kept any longer.
    assert [group[6] for group in (await memory.groups()).values()] == [""]
    await sound()


async def test_a_statement_that_timed_out_uncommitted_keeps_the_seat_for_the_same_key(
    engine: GroupEngine,
    market: Market,
    redis: Redis,
    redis_url: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("groups.record.RECORD_TIMEOUT_S", 0.3)
    deal = await market.deal()
    await warm(market.pool, redis_url, deal)
    wish = market.wish("ann", deal=deal)
    async with holding(database_url, LOCK_LANE, deal, 0):
        with pytest.raises(Overloaded):
            await engine.place(wish)
    assert await market.orders(deal_id=deal) == []
    (kept,) = await LaneMemory.of(redis, deal).seats()
    assert (await engine.place(wish)).order_id == kept
    assert len(await market.orders(deal_id=deal)) == 1


async def test_a_statement_that_commits_after_its_caller_gave_up_counts_once(
    pool: asyncpg.Pool, redis_url: str, market: Market, database_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    await warm(pool, redis_url, deal)
    wish = market.wish("ann", deal=deal)
    background = BackgroundPool(pool, RECORD)
    async with background.engine(redis_url) as engine:
        async with holding(database_url, LOCK_LANE, deal, 0) as lane:
            with pytest.raises(Overloaded):
                await engine.place(wish)
            await lane.waiters(1)
            await lane.commit()
        assert background.late is not None
        (late,) = [row for row in await background.late if row["id"] is not None]
        assert (await engine.place(wish)).order_id == late["id"]
    assert len(await market.orders(deal_id=deal)) == 1
    await sound()


async def test_a_doorbell_rings_for_an_order_whose_first_call_was_lost(
    pool: asyncpg.Pool, redis_url: str, market: Market
) -> None:
    rung: list[int] = []
    deal = await market.deal()
    troubled = TroubledPool(pool, RECORD, TimeoutError(), committed=False)
    async with troubled.engine(redis_url, listeners=Listeners(rung.append)) as engine:
        wish = market.wish("ann", deal=deal)
        with pytest.raises(Overloaded):
            await engine.place(wish)
        assert rung == []
        await engine.place(wish)
    assert rung == [1]


async def test_a_key_that_a_crash_left_without_its_order_is_taken_back(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, sound: Sound
) -> None:
    deal = await market.deal()
    wish = market.wish("ann", deal=deal)
    await pool.execute(
        "INSERT INTO idempotency_keys (request_id, body_digest, order_id) VALUES ($1, $2, 'ord_gone')",
        wish.request_id,
        wish.body_digest,
    )
    placed = await engine.place(wish)
    assert not placed.replayed
    assert (await engine.place(wish)).order_id == placed.order_id
    await sound()


async def test_a_limit_reached_meanwhile_in_another_lane_leaves_a_tombstone_and_no_seat(
    engine: GroupEngine, market: Market, database_url: str, pool: asyncpg.Pool, sound: Sound
) -> None:
    deal = await market.deal(lanes=2, per_buyer=1)
    leader, buyer = buyer_of_lane(0, 2), buyer_of_lane(1, 2)
    group = await market.group_of((await engine.place(market.wish(leader, deal=deal))).order_id)
    await engine.place(market.wish(buyer_of_lane(1, 2, besides=buyer), deal=deal))
    joins = market.wish(buyer, group=group)
    async with holding(database_url, LOCK_LANE, deal, 1) as lane:
        bought = asyncio.create_task(engine.place(market.wish(buyer, deal=deal, verb="solo")))
        await lane.waiters(1)
        joined = asyncio.create_task(engine.place(joins))
        await lane.waiters(2)
        await lane.commit()
        await bought
        with pytest.raises(LimitReached):
            await joined
    known = await pool.fetch("SELECT abandoned FROM idempotency_keys WHERE request_id = $1", joins.request_id)
    assert [key["abandoned"] for key in known] == [True]
    await sound()


async def test_a_founder_refused_by_the_limit_leaves_no_group_behind(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, sound: Sound
) -> None:
    deal = await market.deal(per_buyer=1)
    wish = market.wish("ann", deal=deal)
    await engine.place(market.wish("bob", deal=deal, verb="solo"))
    await pool.execute("INSERT INTO deal_buyers (deal_id, buyer_id, units) VALUES ($1, 'ann', 1)", deal)
    with pytest.raises(LimitReached):
        await engine.place(wish)
    await pool.execute("UPDATE deal_buyers SET units = 0 WHERE buyer_id = 'ann'")
    await sound()
    assert not (await engine.place(wish)).replayed
    (order,) = await market.orders(buyer_id="ann")
    assert [group["id"] for group in await pool.fetch("SELECT id FROM groups")] == [order["group_id"]]
    assert (await market.group(order["group_id"]))["leader_order_id"] == order["id"]


async def test_a_tombstone_of_an_earlier_seat_does_not_hide_that_the_group_has_closed(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool
) -> None:
    deal = await market.deal()
    group = await market.group_of((await engine.place(market.wish("ann", deal=deal))).order_id)
    wish = market.wish("bob", group=group)
    await pool.execute(
        "INSERT INTO idempotency_keys (request_id, body_digest, order_id, abandoned)"
        " VALUES ($1, '', 'ord_gone', true)",
        wish.request_id,
    )
    await market.pass_deadline(group)
    with pytest.raises(GroupClosed):
        await engine.place(wish)


async def test_a_row_that_cannot_be_stored_fails_alone(
    pool: asyncpg.Pool, redis_url: str, market: Market, sound: Sound
) -> None:
    sizes: list[int] = []
    deal = await market.deal()
    async with open_engine(pool, redis_url, rates=None, listeners=Listeners(on_batch=sizes.append)) as engine:
        await engine.place(market.wish("ann", deal=deal))
        sizes.clear()
        methods = ["pm_ok"] * 4 + ["pm_\0"] + ["pm_ok"] * 4
        wishes = [market.wish(f"buyer-{n}", deal=deal, method=method) for n, method in enumerate(methods)]
        outcomes = await outcomes_of(engine.place(wish) for wish in wishes)
    assert sizes == [9]
    assert [type(outcome).__name__ for outcome in outcomes] == [
        *["Recorded"] * 4,
        "CharacterNotInRepertoireError",
        *["Recorded"] * 4,
    ]
    await sound()


async def test_a_deadlock_costs_the_batch_a_round_and_nobody_an_error(
    engine: GroupEngine, market: Market, database_url: str
) -> None:
    deal = await market.deal()
    group = await market.group_of((await engine.place(market.wish("ann", deal=deal))).order_id)
    async with holding(database_url, LOCK_LANE, deal, 0) as rival:
        # The join waits for longer, so it is the one that finds the deadlock and gives way.
        await rival.connection.execute("SET LOCAL deadlock_timeout = '30s'")
        join = asyncio.create_task(engine.place(market.wish("bob", group=group)))
        await rival.waiters(1)
        await rival.connection.execute(LOCK_GROUP, group)
        await rival.commit()
        assert not (await join).replayed


async def test_deadlocks_beyond_the_retries_of_a_batch_reach_nobody_either(
    pool: asyncpg.Pool, redis_url: str, market: Market
) -> None:
    deal = await market.deal()
    deadlocks = TroubledPool(pool, RECORD, asyncpg.DeadlockDetectedError("again"), times=5, committed=False)
    async with deadlocks.engine(redis_url) as engine:
        assert not (await engine.place(market.wish("ann", deal=deal))).replayed
    assert deadlocks.left == 0
