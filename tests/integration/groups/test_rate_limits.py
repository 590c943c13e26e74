"""Rates are kept per buyer and per deal, in Redis, for all processes together."""

from collections import Counter

import asyncpg
import pytest

from groups.engine import GroupEngine, open_engine
from groups.errors import Overloaded, RateLimited
from groups.lane_store import RateLimits
from groups.placement import Recorded
from tests.interleaving import outcomes_of
from tests.market import Market

pytestmark = pytest.mark.anyio

SLOW = RateLimits(buyer_per_s=0.1, buyer_burst=3, deal_per_s=0.1, deal_burst=100)


async def test_a_buyers_burst_is_refused_with_the_time_to_wait_and_others_are_not(
    pool: asyncpg.Pool, redis_url: str, market: Market
) -> None:
    deal = await market.deal(per_buyer=10)
    async with (
        open_engine(pool, redis_url, rates=SLOW) as one,
        open_engine(pool, redis_url, rates=SLOW) as two,
    ):
        for engine in (one, two, one):
            await engine.place(market.wish("ann", deal=deal, verb="solo"))
        for engine in (one, two):
            with pytest.raises(RateLimited) as refused:
                await engine.place(market.wish("ann", deal=deal, verb="solo"))
            # The next token is ten seconds away, less what this test took so far.
            assert 5 <= refused.value.retry_after_s <= 10
        assert not (await two.place(market.wish("bob", deal=deal))).replayed


async def test_replays_are_not_limited(pool: asyncpg.Pool, redis_url: str, market: Market) -> None:
    deal = await market.deal(per_buyer=10)
    async with open_engine(pool, redis_url, rates=SLOW) as engine:
        wishes = [market.wish("ann", deal=deal, verb="solo") for _ in range(3)]
        first = [await engine.place(wish) for wish in wishes]
        for _ in range(10):
            again = [await engine.place(wish) for wish in wishes]
            assert [one.order_id for one in again] == [one.order_id for one in first]
            assert all(one.replayed for one in again)


async def test_refusals_count_against_the_rate_too(
    pool: asyncpg.Pool, redis_url: str, market: Market
) -> None:
    deal = await market.deal(per_buyer=1)
    async with open_engine(pool, redis_url, rates=SLOW) as engine:
        outcomes = [
            type((await outcomes_of([engine.place(market.wish("ann", deal=deal, verb="solo"))]))[0]).__name__
            for _ in range(5)
        ]
    assert outcomes == ["Recorded", "LimitReached", "LimitReached", "RateLimited", "RateLimited"]


async def test_a_deal_as_a_whole_is_limited(pool: asyncpg.Pool, redis_url: str, market: Market) -> None:
    deal = await market.deal(stock=1000)
    rates = RateLimits(buyer_per_s=100, buyer_burst=100, deal_per_s=0.1, deal_burst=5)
    async with open_engine(pool, redis_url, rates=rates) as engine:
        outcomes = await outcomes_of(engine.place(market.wish(f"buyer-{n}", deal=deal)) for n in range(8))
    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"Recorded": 5, "RateLimited": 3}


async def test_one_buyer_cannot_fill_the_queue_of_a_lane(
    engine: GroupEngine, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groups.combiner.QUEUE_MAX", 50)
    monkeypatch.setattr("groups.combiner.QUEUED_PER_BUYER_MAX", 5)
    deal = await market.deal(stock=1000, per_buyer=100)
    await engine.place(market.wish("ann", deal=deal, verb="solo"))
    flood = [market.wish("ann", deal=deal, verb="solo") for _ in range(60)]
    outcomes = await outcomes_of(
        engine.place(wish) for wish in (*flood, *(market.wish(f"buyer-{n}", deal=deal) for n in range(10)))
    )
    assert [type(outcome) for outcome in outcomes[:60]] == [Recorded] * 5 + [Overloaded] * 55
    assert {type(outcome) for outcome in outcomes[60:]} == {Recorded}
    # Those that left the queue make room for more.
    assert not (await engine.place(market.wish("ann", deal=deal, verb="solo"))).replayed
