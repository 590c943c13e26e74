"""Seats are used again, the lowest first, and a full group takes somebody in when a payment is declined."""

import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine
from groups.errors import GroupFull
from tests.integration.groups.conftest import Sound
from tests.market import Market

pytestmark = pytest.mark.anyio


async def joined(engine: GroupEngine, market: Market, group: str, name: str) -> int:
    placed = await engine.place(market.wish(name, group=group))
    seat: int = (await market.order(placed.order_id))["seat"]
    return seat


@pytest.mark.parametrize("redis_forgets", [False, True])
async def test_freed_seats_are_given_out_first_and_from_the_lowest(
    engine: GroupEngine, market: Market, sound: Sound, redis: Redis, redis_forgets: bool
) -> None:
    deal = await market.deal()
    orders = [(await engine.place(market.wish(f"buyer-{n}", deal=deal))).order_id for n in range(6)]
    group = await market.group_of(orders[0])
    # Freed in another order than they are to be given out.
    for n in (4, 1, 2):
        await market.end("declined", orders[n])
        assert await engine.apply_seat_releases(10) == 1
    if redis_forgets:
        await redis.flushall()
    assert [await joined(engine, market, group, f"late-{n}") for n in range(4)] == [2, 3, 5, 7]
    await sound()


async def test_a_full_group_reopens_when_a_payment_is_declined(
    engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal(max_headcount=3, ladder=((2, 900),))
    orders = [(await engine.place(market.wish(f"buyer-{n}", deal=deal))).order_id for n in range(3)]
    group = await market.group_of(orders[0])
    await market.authorise(*orders[:2])
    with pytest.raises(GroupFull):
        await joined(engine, market, group, "late")
    await market.end("declined", orders[2])
    await engine.apply_seat_releases(10)
    assert await joined(engine, market, group, "late") == 3
    with pytest.raises(GroupFull):
        await joined(engine, market, group, "later")
    await sound()


async def test_auto_placement_fills_the_fullest_group_first(engine: GroupEngine, market: Market) -> None:
    deal = await market.deal(max_headcount=3, ladder=((2, 900),))
    small = await market.group_of((await engine.place(market.wish("a", deal=deal, verb="open"))).order_id)
    large = await market.group_of((await engine.place(market.wish("b", deal=deal, verb="open"))).order_id)
    await joined(engine, market, large, "c")
    went_to = [
        await market.group_of((await engine.place(market.wish(name, deal=deal))).order_id) for name in "def"
    ]
    assert went_to[:2] == [large, small]
    assert went_to[2] == small
