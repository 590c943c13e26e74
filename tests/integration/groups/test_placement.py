import asyncio
from collections import Counter, defaultdict

import asyncpg
import pytest

from groups.engine import GroupEngine, open_engine
from groups.errors import (
    AlreadyJoined,
    DealNotFound,
    GroupFull,
    GroupNotFound,
    IdempotencyKeyReused,
    LimitReached,
    SoldOut,
)
from groups.listeners import Listeners
from tests.market import Market

pytestmark = pytest.mark.anyio


async def test_a_first_buyer_opens_a_group_and_a_second_fills_the_next_seat(
    engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal()
    first = await engine.place(market.wish("ann", deal=deal))
    second = await engine.place(market.wish("bob", deal=deal))
    orders = [await market.order(first.order_id), await market.order(second.order_id)]
    assert orders[0]["group_id"] == orders[1]["group_id"]
    assert [order["seat"] for order in orders] == [1, 2]
    assert {order["status"] for order in orders} == {"held"}


async def test_each_stage_of_a_batch_is_timed_once_however_many_leave_together(
    pool: asyncpg.Pool, redis_url: str, market: Market
) -> None:
    deal = await market.deal(stock=100)
    stages: list[str] = []
    sizes: list[int] = []
    listeners = Listeners(on_stage=lambda stage, _: stages.append(stage), on_batch=sizes.append)
    async with open_engine(pool, redis_url, rates=None, listeners=listeners) as engine:
        await engine.place(market.wish("first", deal=deal))
        stages.clear()
        sizes.clear()
        await asyncio.gather(*(engine.place(market.wish(f"buyer-{n}", deal=deal)) for n in range(20)))

    assert sum(sizes) == 20
    assert len(sizes) < 20
    assert Counter(stages) == {"queue": len(sizes), "script": len(sizes), "record": len(sizes)}


async def test_a_refusal_is_not_timed_as_recorded(pool: asyncpg.Pool, redis_url: str, market: Market) -> None:
    deal = await market.deal(stock=1)
    stages: list[str] = []
    listeners = Listeners(on_stage=lambda stage, _: stages.append(stage))
    async with open_engine(pool, redis_url, rates=None, listeners=listeners) as engine:
        await engine.place(market.wish("first", deal=deal))
        stages.clear()
        with pytest.raises(SoldOut):
            await engine.place(market.wish("second", deal=deal))

    assert stages == ["queue", "script"]


async def test_the_last_of_the_stock_is_sold_exactly_once(engine: GroupEngine, market: Market) -> None:
    deal = await market.deal(stock=100, max_headcount=10)
    outcomes = await asyncio.gather(
        *(engine.place(market.wish(f"buyer-{n}", deal=deal)) for n in range(300)), return_exceptions=True
    )
    kinds = Counter(type(outcome).__name__ for outcome in outcomes)
    assert kinds == {"Recorded": 100, "SoldOut": 200}
    seats = defaultdict(list)
    for order in await market.orders(deal_id=deal):
        seats[order["group_id"]].append(order["seat"])
    assert len(seats) == 10
    assert all(numbers == list(range(1, 11)) for numbers in seats.values())
    assert (await market.lane(deal))["sold_units"] == 100


async def test_a_shared_link_takes_exactly_its_capacity(engine: GroupEngine, market: Market) -> None:
    deal = await market.deal(stock=1000, max_headcount=50)
    opened = await engine.place(market.wish("host", deal=deal, verb="open"))
    group = (await market.order(opened.order_id))["group_id"]
    outcomes = await asyncio.gather(
        *(engine.place(market.wish(f"buyer-{n}", group=group)) for n in range(299)), return_exceptions=True
    )
    kinds = Counter(type(outcome).__name__ for outcome in outcomes)
    assert kinds == {"Recorded": 49, "GroupFull": 250}


async def test_a_repeated_key_answers_the_same_order(engine: GroupEngine, market: Market) -> None:
    deal = await market.deal()
    wish = market.wish("ann", deal=deal)
    first = await engine.place(wish)
    second = await engine.place(wish)
    assert (first.order_id, first.replayed, second.replayed) == (second.order_id, False, True)
    assert len(await market.orders(deal_id=deal)) == 1


async def test_a_key_with_another_body_is_refused(engine: GroupEngine, market: Market) -> None:
    deal = await market.deal()
    await engine.place(market.wish("ann", deal=deal, key="k", quantity=1))
    with pytest.raises(IdempotencyKeyReused):
        await engine.place(market.wish("ann", deal=deal, key="k", quantity=2))


async def test_a_second_seat_in_an_open_group_is_refused_with_the_order(
    engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal()
    first = await engine.place(market.wish("ann", deal=deal))
    group = (await market.order(first.order_id))["group_id"]
    for wish in (market.wish("ann", deal=deal), market.wish("ann", group=group)):
        with pytest.raises(AlreadyJoined) as refused:
            await engine.place(wish)
        assert refused.value.order_id == first.order_id


async def test_the_buyers_limit_counts_every_group_and_solo_purchase(
    engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal(per_buyer=3)
    await engine.place(market.wish("ann", deal=deal, verb="open", quantity=1))
    await engine.place(market.wish("ann", deal=deal, verb="solo", quantity=2))
    for verb in ("open", "solo"):
        with pytest.raises(LimitReached):
            await engine.place(market.wish("ann", deal=deal, verb=verb))


async def test_a_solo_purchase_promises_the_list_price(engine: GroupEngine, market: Market) -> None:
    deal = await market.deal(list_price=1234)
    bought = await engine.place(market.wish("ann", deal=deal, verb="solo"))
    order = await market.order(bought.order_id)
    assert (order["group_id"], order["seat"], order["promised_unit_minor"]) == (None, None, 1234)


async def test_unknown_deals_and_groups_are_named(engine: GroupEngine, market: Market) -> None:
    with pytest.raises(DealNotFound):
        await engine.place(market.wish("ann", deal="deal_nowhere"))
    with pytest.raises(GroupNotFound):
        await engine.place(market.wish("ann", group="grp_nowhere"))


async def test_a_full_group_and_an_empty_stock_are_told_apart(engine: GroupEngine, market: Market) -> None:
    deal = await market.deal(stock=3, min_headcount=2, max_headcount=2)
    opened = await engine.place(market.wish("ann", deal=deal))
    group = (await market.order(opened.order_id))["group_id"]
    await engine.place(market.wish("bob", group=group))
    with pytest.raises(GroupFull):
        await engine.place(market.wish("cid", group=group))
    await engine.place(market.wish("cid", deal=deal))
    with pytest.raises(SoldOut):
        await engine.place(market.wish("dan", deal=deal))


async def test_units_split_over_lanes_are_all_found(engine: GroupEngine, market: Market) -> None:
    deal = await market.deal(stock=20, lanes=3)
    outcomes = await asyncio.gather(
        *(engine.place(market.wish(f"buyer-{n}", deal=deal)) for n in range(50)), return_exceptions=True
    )
    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"Recorded": 20, "SoldOut": 30}
