"""Units of a deal are found in whichever lane they are, to the last one."""

import asyncio
from collections import Counter

import pytest
from redis.asyncio import Redis

from groups.desk import home_lane
from groups.engine import GroupEngine
from groups.errors import GroupClosed, SoldOut
from groups.keys import Lane
from groups.stock import StockMover
from tests.integration.groups.conftest import Sound
from tests.market import Market

pytestmark = pytest.mark.anyio


async def test_units_of_several_lanes_are_sold_together(
    engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal(stock=4, lanes=4)
    await engine.place(market.wish("ann", deal=deal, quantity=3))
    with pytest.raises(SoldOut):
        await engine.place(market.wish("bob", deal=deal, quantity=2))
    await engine.place(market.wish("bob", deal=deal, quantity=1))
    lanes = [await market.lane(deal, lane_no) for lane_no in range(4)]
    assert sum(lane["sold_units"] for lane in lanes) == sum(lane["stock_units"] for lane in lanes) == 4
    await sound()


async def test_a_group_whose_lane_is_empty_gets_units_of_the_others(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal(stock=6, lanes=2, max_headcount=6)
    host = await engine.place(market.wish("host", deal=deal, verb="open"))
    group = await market.group_of(host.order_id)
    for n, one in enumerate((engine, another_engine, engine, another_engine, engine)):
        await one.place(market.wish(f"friend-{n}", group=group))
    with pytest.raises(SoldOut):
        await another_engine.place(market.wish("late", deal=deal))
    await sound()


async def test_a_group_that_ends_while_units_are_gathered_for_it_says_so(
    engine: GroupEngine, market: Market, redis: Redis, monkeypatch: pytest.MonkeyPatch, sound: Sound
) -> None:
    deal = await market.deal(stock=4, lanes=2, max_headcount=6)
    host = await engine.place(market.wish("host", deal=deal, verb="open", quantity=2))
    group = await market.group_of(host.order_id)
    gather = StockMover.gather

    async def gather_slowly(mover: StockMover, lane: Lane, quantity: int) -> bool:
        found = await gather(mover, lane, quantity)
        for pass_time in (market.pass_deadline, market.pass_grace):
            await pass_time(group)
            await engine.advance_due_groups(limit=10)
        await market.pass_settling()
        await engine.advance_due_groups(limit=10)
        # Rebuilt, the lane keeps no group that has ended.
        await redis.flushall()
        return found

    monkeypatch.setattr(StockMover, "gather", gather_slowly)
    with pytest.raises(GroupClosed):
        await engine.place(market.wish("friend", group=group))
    assert (await market.group(group))["status"] == "failed"
    await sound()


async def test_crowds_with_large_orders_sell_every_unit_of_every_lane(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal(stock=30, lanes=5, max_headcount=50)
    wishes = [market.wish(f"buyer-{n}", deal=deal, quantity=1 + n % 3) for n in range(60)]
    outcomes = await asyncio.gather(
        *((engine, another_engine)[n % 2].place(wish) for n, wish in enumerate(wishes)),
        return_exceptions=True,
    )
    kinds = Counter(type(outcome).__name__ for outcome in outcomes)
    assert set(kinds) == {"Recorded", "SoldOut"}, kinds
    sold = sum(order["quantity"] for order in await market.orders(deal_id=deal))
    # What is left is less than the smallest order that was refused.
    refused = [
        wish.quantity for wish, outcome in zip(wishes, outcomes, strict=True) if isinstance(outcome, SoldOut)
    ]
    assert 30 - min(refused) < sold <= 30
    assert len({home_lane(wish.buyer_id, 5) for wish in wishes}) == 5
    await sound()
