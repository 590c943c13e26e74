"""A group settles once, with everybody who was in time, whoever else touches it at that moment."""

import asyncio
import functools

import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine
from groups.errors import GroupClosed
from tests.integration.groups.conftest import Sound
from tests.interleaving import LOCK_GROUP, LOCK_LANE, LOCK_ORDER, LaneMemory, holding, outcomes_of
from tests.market import Market
from tests.waiting import until

pytestmark = pytest.mark.anyio

ONE_TIER = ((1, 900), (2, 800), (4, 700))
CLOSE_GROUP = (
    "UPDATE groups SET status = 'closing', deadline = app_now(), closing_at = app_now(),"
    " settle_by = app_now() WHERE id = $1"
)
LOCK_BUYER = "SELECT FROM deal_buyers WHERE buyer_id = $1 FOR UPDATE"


async def founded(engine: GroupEngine, market: Market, *names: str, **terms: int) -> tuple[str, list[str]]:
    """A group of a fresh deal with these authorised members; returns it and their orders."""
    deal = await market.deal(ladder=ONE_TIER, min_headcount=terms.get("min_headcount", 1))
    placed = [(await engine.place(market.wish(name, deal=deal))).order_id for name in names]
    await market.authorise(*placed)
    return await market.group_of(placed[0]), placed


async def test_a_join_that_commits_while_its_groups_settlement_waits_counts(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, database_url: str, sound: Sound
) -> None:
    group, (founder,) = await founded(engine, market, "ann")
    deal = (await market.order(founder))["deal_id"]
    await market.bring_deadline(group, in_ms=300)
    async with holding(database_url, LOCK_LANE, deal, 0) as lane:
        joins = asyncio.create_task(engine.place(market.wish("bob", group=group)))
        await lane.waiters(1)

        await until(functools.partial(market.is_overdue, group))
        settles = asyncio.create_task(another_engine.advance_due_groups(10))
        await lane.waiters(2)
        await lane.commit()
        joined = await joins
        await settles
    # Bob is held, so the group waits for him; with him it reaches the second tier.
    assert (await market.group(group))["status"] == "closing"
    await market.authorise(joined.order_id)
    await engine.advance_due_groups(10)
    assert (await market.group(group))["final_headcount"] == 2
    assert await market.operations("capture") == {founder: 800, joined.order_id: 800}
    await sound()


async def test_a_join_that_waited_while_its_group_closed_is_refused_and_gives_its_seat_back(
    engine: GroupEngine, market: Market, redis: Redis, database_url: str, sound: Sound
) -> None:
    group, (founder,) = await founded(engine, market, "ann")
    deal = (await market.order(founder))["deal_id"]
    async with holding(database_url, CLOSE_GROUP, group) as closes:
        joins = asyncio.create_task(engine.place(market.wish("bob", group=group)))
        await closes.waiters(1)
        await closes.commit()
        with pytest.raises(GroupClosed):
            await joins
    assert [*await LaneMemory.of(redis, deal).seats()] == [founder]
    await market.pass_grace(group)
    await engine.advance_due_groups(10)
    assert (await market.group(group))["final_headcount"] == 1
    await sound()


async def test_two_settlers_at_once_settle_a_group_once(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, database_url: str, sound: Sound
) -> None:
    group, orders = await founded(engine, market, "ann", "bob")
    await market.pass_deadline(group)
    async with holding(database_url, LOCK_GROUP, group) as held:
        first = asyncio.create_task(engine.advance_due_groups(10))
        await held.waiters(1)
        assert await another_engine.advance_due_groups(10) == 0
        await held.commit()
        assert await first == 1
    settled = await market.group(group)
    for one in (engine, another_engine):
        await market.pass_settling()
        assert await one.advance_due_groups(10) == 0
    assert dict(await market.group(group)) == dict(settled)
    assert await market.operations("capture") == dict.fromkeys(orders, 800)
    assert await market.operations("void") == {}
    await market.end_operations("capture")
    await outcomes_of(one.advance_due_groups(10) for one in (engine, another_engine))
    assert (await market.group(group))["status"] == "succeeded"
    await engine.apply_seat_releases(10)
    await sound()


async def test_an_authorisation_in_flight_while_its_group_settles_neither_deadlocks_nor_is_lost(
    engine: GroupEngine, market: Market, database_url: str, sound: Sound
) -> None:
    group, (founder,) = await founded(engine, market, "ann")
    late = await engine.place(market.wish("bob", group=group))
    await market.pass_deadline(group)
    async with holding(database_url, LOCK_ORDER, late.order_id) as payment:
        settles = asyncio.create_task(engine.advance_due_groups(10))
        await payment.waiters(1)
        # What the payment touches next must not be in the settlement's hands yet.
        await payment.connection.execute("SET LOCAL lock_timeout = '300ms'")
        await payment.connection.execute(
            "UPDATE payment_operations SET state = 'succeeded', ended_at = app_now() WHERE order_id = $1",
            late.order_id,
        )
        await payment.connection.execute(
            "UPDATE orders SET status = 'authorised' WHERE id = $1", late.order_id
        )
        await payment.commit()
        await settles
    assert (await market.group(group))["final_headcount"] == 2
    assert await market.operations("capture") == {founder: 800, late.order_id: 800}
    await sound()


async def test_a_failed_group_touches_its_buyers_before_its_lane(
    engine: GroupEngine, market: Market, database_url: str, sound: Sound
) -> None:
    group, (founder,) = await founded(engine, market, "zoe", min_headcount=3)
    await engine.place(market.wish("ann", group=group))
    deal = (await market.order(founder))["deal_id"]
    await market.pass_deadline(group)
    await engine.advance_due_groups(10)
    await market.pass_grace(group)
    async with holding(database_url, LOCK_BUYER, "zoe") as join:
        settles = asyncio.create_task(engine.advance_due_groups(10))
        await join.waiters(1)
        # A join counts its buyer and then takes from the lane; the settlement must not stand there first.
        await join.connection.execute("SET LOCAL lock_timeout = '300ms'")
        await join.connection.execute(LOCK_LANE, deal, 0)
        await join.commit()
        assert await settles == 1
    assert (await market.lane(deal))["sold_units"] == 0
    await engine.apply_seat_releases(10)
    await sound()


async def test_groups_that_wait_for_payments_do_not_crowd_out_those_that_are_due(
    engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),))
    groups = []
    for n in range(6):
        placed = await engine.place(market.wish(f"buyer-{n}", deal=deal, verb="open"))
        await market.authorise(placed.order_id)
        groups.append(await market.group_of(placed.order_id))
        await market.pass_deadline(groups[-1])
    # More than one round holds; none of their payments ever ends.
    while await engine.advance_due_groups(2):
        pass
    assert {(await market.group(group))["status"] for group in groups} == {"settling"}


async def test_a_payment_that_ends_brings_its_groups_next_look_forward(
    engine: GroupEngine, market: Market
) -> None:
    group, _ = await founded(engine, market, "ann", "bob")
    await market.pass_deadline(group)
    await engine.advance_due_groups(10)
    await market.pool.execute("UPDATE group_progress SET check_at = app_now() + interval '1 hour'")
    await market.end_operations("capture")
    assert await engine.advance_due_groups(10) == 1
    assert (await market.group(group))["status"] == "succeeded"
