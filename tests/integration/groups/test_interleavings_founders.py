"""A group outlives the trouble of whoever opened it, and always has somebody alive to lead it."""

import asyncio

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.cancellation import Cancellation
from groups.engine import GroupEngine
from groups.errors import GroupNotFound, LimitReached
from groups.placement import Recorded
from tests.integration.groups.conftest import Sound
from tests.interleaving import LOCK_GROUP, LOCK_LANE, LaneMemory, holding, outcomes_of, place_and_die, warm
from tests.market import Market, digest

pytestmark = pytest.mark.anyio


def leaving(order_id: str, buyer: str) -> Cancellation:
    return Cancellation(order_id, buyer, digest("leave", order_id), b"")


async def test_a_join_into_a_group_that_is_still_being_committed_elsewhere_takes_the_next_seat(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, database_url: str, redis_url: str
) -> None:
    deal = await market.deal()
    await warm(market.pool, redis_url, deal)
    async with holding(database_url, LOCK_LANE, deal, 0) as lane:
        opens = asyncio.create_task(engine.place(market.wish("ann", deal=deal)))
        await lane.waiters(1)
        joins = asyncio.create_task(another_engine.place(market.wish("bob", deal=deal)))
        await lane.waiters(2)
        await lane.commit()
        founder, friend = await opens, await joins
    assert not founder.replayed
    assert not friend.replayed
    orders = await market.orders(deal_id=deal)
    assert [(order["id"], order["seat"]) for order in orders] == [(founder.order_id, 1), (friend.order_id, 2)]
    assert len({order["group_id"] for order in orders}) == 1
    assert (await market.group(orders[0]["group_id"]))["leader_order_id"] == founder.order_id


async def test_a_friend_records_the_group_whose_founder_died_and_leads_it_in_the_end(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis: Redis, redis_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    dead = await place_and_die(pool, redis_url, market.wish("ann", deal=deal))
    friend = await engine.place(market.wish("bob", deal=deal))
    order = await market.order(friend.order_id)
    assert (order["group_id"], order["seat"]) == (dead.group_id, 2)
    await LaneMemory.of(redis, deal).age_pending()
    assert await engine.reconcile_orphans() == 1
    assert (await market.group(order["group_id"]))["leader_order_id"] == friend.order_id
    third = await engine.place(market.wish("cid", deal=deal))
    assert (await market.order(third.order_id))["seat"] == 1
    await sound()


async def test_a_group_that_nobody_recorded_is_forgotten_with_its_founder(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis: Redis, redis_url: str
) -> None:
    deal = await market.deal()
    dead = await place_and_die(pool, redis_url, market.wish("ann", deal=deal))
    memory = LaneMemory.of(redis, deal)
    await memory.age_pending()
    await engine.reconcile_orphans()
    assert (await memory.groups(), await memory.seats(), await memory.units_left()) == ({}, {}, 100)
    assert dead.group_id is not None
    with pytest.raises(GroupNotFound):
        await engine.place(market.wish("bob", group=dead.group_id))


async def test_a_group_whose_founder_is_refused_is_led_by_whoever_came_with_him(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, sound: Sound
) -> None:
    deal = await market.deal(per_buyer=1)
    await engine.place(market.wish("zoe", deal=deal, verb="solo"))
    await pool.execute("INSERT INTO deal_buyers (deal_id, buyer_id, units) VALUES ($1, 'ann', 1)", deal)
    # Both leave in one batch, so that Bob's seat is in the group that Ann's was to open.
    founder, friend = await outcomes_of(engine.place(market.wish(name, deal=deal)) for name in ("ann", "bob"))
    assert isinstance(founder, LimitReached)
    assert isinstance(friend, Recorded)
    order = await market.order(friend.order_id)
    assert (order["seat"], (await market.group(order["group_id"]))["leader_order_id"]) == (2, order["id"])
    await pool.execute("UPDATE deal_buyers SET units = 0 WHERE buyer_id = 'ann'")
    await engine.place(market.wish("ann", deal=deal))
    assert [row["buyer_id"] for row in await market.orders(group_id=order["group_id"])] == ["ann", "bob"]
    await sound()


async def test_a_group_that_only_redis_takes_for_committed_costs_a_rebuild(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, redis: Redis, redis_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    dead = await place_and_die(pool, redis_url, market.wish("ann", deal=deal))
    assert dead.group_id is not None
    await LaneMemory.of(redis, deal).write_group(dead.group_id, share_code="", leader="")
    joined = await engine.place(market.wish("bob", deal=deal))
    assert await market.group_of(joined.order_id) != dead.group_id
    await sound()


async def test_the_lead_passes_to_the_lowest_live_seat(engine: GroupEngine, market: Market) -> None:
    deal = await market.deal()
    orders = [(await engine.place(market.wish(name, deal=deal))).order_id for name in ("ann", "bob", "cid")]
    group = await market.group_of(orders[0])
    await market.end("declined", orders[1])
    await engine.cancel(leaving(orders[0], "ann"))
    assert (await market.group(group))["leader_order_id"] == orders[2]
    # Bob's seat came back, and his next one is lower than Cid's; Cid leads until he leaves.
    again = await engine.place(market.wish("bob", group=group))
    assert (await market.group(group))["leader_order_id"] == orders[2]
    await engine.cancel(leaving(orders[2], "cid"))
    assert (await market.group(group))["leader_order_id"] == again.order_id


async def test_the_lead_does_not_rest_with_an_heir_who_left_while_it_was_passed(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, database_url: str
) -> None:
    deal = await market.deal()
    orders = [(await engine.place(market.wish(name, deal=deal))).order_id for name in ("ann", "bob", "cid")]
    group = await market.group_of(orders[0])
    await market.end("expired", orders[0])
    async with holding(database_url, LOCK_GROUP, group) as held:
        # The first worker wants to pass the lead on; the second comes for the heir's own seat.
        first = asyncio.create_task(engine.apply_seat_releases(10))
        await held.waiters(1)
        await market.end("expired", orders[1])
        second = asyncio.create_task(another_engine.apply_seat_releases(10))
        await held.waiters(2)
        await held.commit()
        await asyncio.gather(first, second)
    assert (await market.group(group))["leader_order_id"] == orders[2]


async def test_an_heir_is_chosen_by_what_is_true_once_every_group_is_locked(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, database_url: str
) -> None:
    deal = await market.deal()
    led: dict[str, list[str]] = {}
    for n in range(2):
        leader = await engine.place(market.wish(f"leader-{n}", deal=deal, verb="open"))
        group = await market.group_of(leader.order_id)
        heirs = [await engine.place(market.wish(f"heir-{n}-{m}", group=group)) for m in range(2)]
        led[group] = [leader.order_id, *(heir.order_id for heir in heirs)]
    first, second = sorted(led)
    await market.end("expired", led[first][0], led[second][0])
    async with holding(database_url, LOCK_GROUP, first) as held:
        passes = asyncio.create_task(engine.apply_seat_releases(10))
        await held.waiters(1)
        # While the first group keeps it waiting, another worker sees the second one's heir off.
        await market.end("expired", led[second][1])
        await another_engine.apply_seat_releases(10)
        await held.commit()
        await passes
    assert (await market.group(first))["leader_order_id"] == led[first][1]
    assert (await market.group(second))["leader_order_id"] == led[second][2]


async def test_passing_the_lead_and_joining_lock_groups_in_one_order(
    engine: GroupEngine, market: Market, database_url: str
) -> None:
    deal = await market.deal(max_headcount=3)
    leaders, groups = [], []
    for n in range(12):
        led = await engine.place(market.wish(f"leader-{n}", deal=deal, verb="open"))
        groups.append(await market.group_of(led.order_id))
        leaders.append(led.order_id)
        await engine.place(market.wish(f"heir-{n}", group=groups[-1]))
    # Ended from the last to the first, so that nothing but the statement itself can put them in order.
    for order_id in reversed(leaders):
        await market.end("expired", order_id)
    async with holding(database_url, LOCK_GROUP, min(groups)) as first:
        passing = asyncio.create_task(engine.apply_seat_releases(100))
        await first.waiters(1)
        locked = await first.connection.fetch(
            "SELECT id FROM groups WHERE id <> $1 FOR UPDATE SKIP LOCKED", min(groups)
        )
        assert len(locked) == 11
        await first.commit()
        await passing
    for group in groups:
        assert (await market.group(group))["leader_order_id"] not in leaders
