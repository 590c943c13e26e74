"""Groups one can join are listed fullest first, from every lane, with bounded work."""

from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine, open_engine
from groups.ids import new_id
from groups.keys import Lane
from groups.lane_store import LaneStore
from groups.listing import COLD_GROUPS_MAX, LOOKS_MAX, Listed, Place, merged
from tests.interleaving import LaneMemory, lane_store, warm
from tests.market import Market, buyer_of_lane

pytestmark = pytest.mark.anyio

PAGES_MAX = 50


async def paged(engine: GroupEngine, deal: str, *, count: int) -> list[Place]:
    """The whole list, page by page."""
    places: list[Place] = []
    after: Place | None = None
    for _ in range(PAGES_MAX):
        listed = await engine.joinable_groups(deal, after=after, count=count)
        assert len(listed.places) <= count
        places += listed.places
        after = listed.more_behind
        if after is None:
            return places
    raise AssertionError("the list does not end")


async def open_groups(
    engine: GroupEngine, market: Market, deal: str, *, lanes: int, each: int
) -> list[Place]:
    """Opens groups of one to three seats in every lane; returns them in the order of the list."""
    places = []
    for lane_no in range(lanes):
        names = (f"{buyer_of_lane(lane_no, lanes)}" for _ in range(each))
        for number, name in enumerate(names):
            placed = await engine.place(market.wish(name, deal=deal, verb="open"))
            group = await market.group_of(placed.order_id)
            for guest in range(number % 3):
                await engine.place(market.wish(f"guest-{guest}", group=group))
            places.append((1 + number % 3, group))
    return sorted(places, reverse=True)


async def test_groups_of_all_lanes_come_fullest_first_whatever_the_page(
    engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal(stock=1000, lanes=3, per_buyer=100)
    expected = await open_groups(engine, market, deal, lanes=3, each=6)
    for count in (1, 2, 5, 17, 18, 19):
        assert await paged(engine, deal, count=count) == expected


async def test_lanes_that_redis_forgot_are_read_from_postgres_and_listed_among_the_others(
    engine: GroupEngine, market: Market, redis: Redis
) -> None:
    deal = await market.deal(stock=1000, lanes=3, per_buyer=100)
    expected = await open_groups(engine, market, deal, lanes=3, each=5)
    epochs = [(await market.lane(deal, lane_no))["epoch"] for lane_no in range(3)]
    await redis.delete(LaneMemory.of(redis, deal, 1).keys.meta)
    assert await paged(engine, deal, count=4) == expected
    await redis.flushall()
    assert await paged(engine, deal, count=4) == expected
    # To look at a list rebuilds nothing.
    assert epochs == [(await market.lane(deal, lane_no))["epoch"] for lane_no in range(3)]


async def test_groups_are_listed_while_redis_is_away(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    deal = await market.deal(stock=1000, lanes=2, per_buyer=100)
    expected = await open_groups(engine, market, deal, lanes=2, each=3)
    async with open_engine(pool, f"unix://{tmp_path}/nobody.sock", rates=None) as cut_off:
        assert await paged(cut_off, deal, count=2) == expected


async def test_a_place_whose_group_has_filled_up_since_still_tells_where_to_go_on(
    engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal(max_headcount=3, ladder=((2, 900),), min_headcount=2)
    groups = []
    for number in range(4):
        placed = await engine.place(market.wish(f"host-{number}", deal=deal, verb="open"))
        groups.append(await market.group_of(placed.order_id))
    first, second, *others = sorted(groups, reverse=True)
    listed = await engine.joinable_groups(deal, after=None, count=2)
    assert listed == Listed([(1, first), (1, second)], (1, second))
    for guest in ("ann", "bob"):
        await engine.place(market.wish(guest, group=second))
    listed = await engine.joinable_groups(deal, after=listed.more_behind, count=5)
    assert [group for _, group in listed.places] == others


async def test_full_and_overdue_groups_are_passed_over(
    engine: GroupEngine, market: Market, redis: Redis
) -> None:
    deal = await market.deal(max_headcount=2, ladder=((2, 900),), min_headcount=2)
    orders = [await engine.place(market.wish(f"host-{n}", deal=deal, verb="open")) for n in range(3)]
    full, overdue, open_ = [await market.group_of(order.order_id) for order in orders]
    await engine.place(market.wish("ann", group=full))
    await LaneMemory.of(redis, deal).write_group(overdue, deadline=1)
    assert await paged(engine, deal, count=10) == [(1, open_)]


async def test_no_call_looks_at_more_groups_than_it_may(
    pool: asyncpg.Pool, market: Market, redis_url: str, redis: Redis, engine: GroupEngine
) -> None:
    deal = await market.deal()
    epoch = await warm(pool, redis_url, deal)
    memory = LaneMemory.of(redis, deal)
    overdue = sorted((new_id("grp") for _ in range(LOOKS_MAX + 7)), reverse=True)
    await redis.zadd(memory.keys.open, dict.fromkeys(overdue, 2))
    placed = await engine.place(market.wish("ann", deal=deal, verb="open"))
    group = await market.group_of(placed.order_id)
    async with lane_store(redis_url) as store:
        looked = await store.list_groups(Lane(deal, 0), epoch, after=(100, ""), count=20, looks_max=LOOKS_MAX)
    assert [group_id for _, group_id, _ in looked] == overdue[:LOOKS_MAX]
    # The caller learns where to go on, and gets to the end.
    listed = await engine.joinable_groups(deal, after=None, count=20)
    assert listed == Listed([], (2, overdue[LOOKS_MAX - 1]))
    assert await paged(engine, deal, count=20) == [(1, group)]


async def test_any_place_among_groups_of_one_size_is_found(
    pool: asyncpg.Pool, market: Market, redis_url: str, redis: Redis
) -> None:
    deal = await market.deal()
    epoch = await warm(pool, redis_url, deal)
    memory = LaneMemory.of(redis, deal)
    names = [f"grp_{n:03d}" for n in range(200)]
    await redis.zadd(memory.keys.open, {name: n // 50 for n, name in enumerate(names)})
    in_order = [(n // 50, name) for n, name in reversed(list(enumerate(names)))]
    async with lane_store(redis_url) as store:
        for at in range(0, 200, 7):
            assert await behind(store, deal, epoch, in_order[at]) == in_order[at + 1 : at + 4]
            between = (in_order[at][0], in_order[at][1] + "0")
            assert await behind(store, deal, epoch, between) == in_order[at : at + 3]


async def behind(store: LaneStore, deal: str, epoch: int, place: Place) -> list[Place]:
    looked = await store.list_groups(Lane(deal, 0), epoch, after=place, count=3, looks_max=3)
    return [(taken, group_id) for taken, group_id, _ in looked]


async def test_the_cold_lanes_list_looks_at_a_bounded_number_of_groups(
    pool: asyncpg.Pool, market: Market, engine: GroupEngine
) -> None:
    deal = await market.deal()
    await pool.execute(
        "INSERT INTO groups (id, deal_id, lane_no, share_code, leader_order_id, capacity, min_headcount,"
        " tier_headcounts, tier_prices_minor, currency, opened_at, deadline)"
        " SELECT 'grp_' || lpad(n::text, 5, '0'), id, 0, 'code-' || n, 'nobody', max_headcount,"
        " min_headcount, tier_headcounts, tier_prices_minor, currency, app_now(),"
        " app_now() + n * interval '1 minute' FROM deals, generate_series(1, $2::integer) AS n WHERE id = $1",
        deal,
        COLD_GROUPS_MAX + 50,
    )
    await pool.execute("INSERT INTO group_progress (group_id, capacity) SELECT id, capacity FROM groups")
    listed = await paged(engine, deal, count=100)
    assert len(listed) == COLD_GROUPS_MAX
    assert min(listed) == (0, "grp_00051")


def test_what_lies_behind_the_end_of_one_lane_waits_for_the_next_page() -> None:
    long = Listed([(5, "e"), (4, "d")], (4, "d"))
    short = Listed([(4, "z"), (2, "b")], None)
    assert merged([long, short], 9) == Listed([(5, "e"), (4, "z"), (4, "d")], (4, "d"))
    assert merged([long, short], 2) == Listed([(5, "e"), (4, "z")], (4, "z"))
    assert merged([short], 2) == Listed([(4, "z"), (2, "b")], None)
    assert merged([], 2) == Listed([], None)
