"""`open -> closing -> settling -> succeeded | failed`, and what it means for members, stock and money."""

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine, open_engine
from groups.errors import GroupClosed, GroupFull
from groups.listeners import Listeners
from tests.integration.groups.conftest import Sound
from tests.interleaving import LaneMemory
from tests.market import LADDER, Market

pytestmark = pytest.mark.anyio

GROUP_STATUSES = ("open", "closing", "settling", "succeeded", "failed")
ORDER_STATUSES = (
    *("held", "authorised", "captured", "partially_refunded", "refunded"),
    *("declined", "expired", "cancelled", "released", "payment_failed"),
)


async def founded(engine: GroupEngine, market: Market, deal: str, count: int) -> tuple[str, list[str]]:
    """A group with this many members, authorised one after another; returns it and their orders."""
    orders = []
    for n in range(count):
        placed = await engine.place(market.wish(f"buyer-{n}", deal=deal))
        await market.authorise(placed.order_id)
        orders.append(placed.order_id)
    return await market.group_of(orders[0]), orders


async def advance(engine: GroupEngine, market: Market, group: str) -> str:
    """Lets workers look at everything that is due until nothing changes; returns the group's status."""
    while await engine.advance_due_groups(10):
        pass
    status: str = (await market.group(group))["status"]
    return status


async def test_a_group_closes_at_its_deadline_and_not_before(
    engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal()
    group, orders = await founded(engine, market, deal, 3)
    await market.pool.execute("UPDATE group_progress SET check_at = app_now()")
    assert await advance(engine, market, group) == "open"
    await market.pass_deadline(group)
    assert await advance(engine, market, group) == "settling"
    with pytest.raises(GroupClosed):
        await engine.place(market.wish("late", group=group))
    assert await market.operations("capture") == dict.fromkeys(orders, 900)
    await sound()


@pytest.mark.parametrize(("headcount", "outcome"), [(3, "succeeded"), (2, "failed")])
async def test_how_late_a_group_is_settled_and_how_it_ends_are_told_once(
    pool: asyncpg.Pool, redis_url: str, market: Market, headcount: int, outcome: str
) -> None:
    lags: list[float] = []
    outcomes: list[str] = []
    listeners = Listeners(on_settled=lags.append, on_ended=outcomes.append)
    async with open_engine(pool, redis_url, rates=None, listeners=listeners) as engine:
        group, _ = await founded(engine, market, await market.deal(min_headcount=3), headcount)
        await engine.place(market.wish("holding", group=group))
        await market.pass_deadline(group)
        assert await advance(engine, market, group) == "closing"
        assert lags == [], "a held seat may still resolve"
        await market.pass_grace(group)
        await pool.execute("UPDATE group_progress SET check_at = check_at - interval '1 hour'")
        await advance(engine, market, group)
        # The hour is Postgres' own; what the test takes comes on top.
        assert [round(lag / 3600) for lag in lags] == [1]
        await market.end_operations("capture")
        await market.end_operations("void")
        await market.pass_settling()
        assert await advance(engine, market, group) == outcome

    assert outcomes == [outcome]
    assert len(lags) == 1


async def test_a_group_closes_as_soon_as_every_seat_is_authorised(
    engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal(max_headcount=5)
    group, _ = await founded(engine, market, deal, 4)
    assert await advance(engine, market, group) == "open"
    fifth = await engine.place(market.wish("fifth", group=group))
    assert await advance(engine, market, group) == "open"
    await market.authorise(fifth.order_id)
    assert await advance(engine, market, group) == "settling"
    with pytest.raises(GroupFull):
        await engine.place(market.wish("late", group=group))
    assert (await market.group(group))["final_unit_price_minor"] == 800
    assert set((await market.operations("capture")).values()) == {800}


async def test_held_members_get_the_grace_and_then_are_left_out(
    engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal()
    group, orders = await founded(engine, market, deal, 3)
    late, never = [
        (await engine.place(market.wish(name, group=group))).order_id for name in ("late", "never")
    ]
    await market.pass_deadline(group)
    assert await advance(engine, market, group) == "closing"
    await market.authorise(late)
    assert await advance(engine, market, group) == "closing"
    await market.pass_grace(group)
    assert await advance(engine, market, group) == "settling"
    assert (await market.group(group))["final_headcount"] == 4
    assert (await market.order(never))["status"] == "expired"
    assert set(await market.operations("capture")) == {*orders, late}
    # His payment comes after all, and the order does not take it.
    with pytest.raises(asyncpg.CheckViolationError):
        await market.pool.execute("UPDATE orders SET status = 'authorised' WHERE id = $1", never)
    await engine.apply_seat_releases(10)
    await sound()


async def test_the_last_held_member_to_resolve_settles_the_group_at_once(
    engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal()
    group, _ = await founded(engine, market, deal, 3)
    held = [(await engine.place(market.wish(name, group=group))).order_id for name in ("dan", "eve")]
    await market.pass_deadline(group)
    assert await advance(engine, market, group) == "closing"
    await market.end("declined", held[0])
    await market.authorise(held[1])
    assert await advance(engine, market, group) == "settling"
    assert (await market.group(group))["final_headcount"] == 4


async def test_everybody_pays_the_tier_reached_or_the_lower_promise(
    engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal(min_headcount=3, max_headcount=10, ladder=LADDER)
    group, orders = await founded(engine, market, deal, 6)
    promised = [(await market.order(order_id))["promised_unit_minor"] for order_id in orders]
    assert promised == [900, 900, 900, 900, 800, 800]
    await market.pool.execute("UPDATE orders SET promised_unit_minor = 750 WHERE id = $1", orders[5])
    await market.pass_deadline(group)
    assert await advance(engine, market, group) == "settling"
    settled = await market.group(group)
    assert (settled["final_headcount"], settled["final_unit_price_minor"]) == (6, 800)
    assert list((await market.operations("capture")).values()).count(800) == 5
    assert (await market.operations("capture"))[orders[5]] == 750
    await market.end_operations("capture")
    assert await advance(engine, market, group) == "succeeded"
    assert await engine.apply_seat_releases(10) == 6
    assert (await market.lane(deal))["sold_units"] == 6
    await sound()


async def test_a_group_that_fails_charges_nobody_and_returns_what_it_held(
    engine: GroupEngine, market: Market, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal(min_headcount=3, ladder=LADDER, per_buyer=2)
    group, orders = await founded(engine, market, deal, 1)
    second = await engine.place(market.wish("pair", group=group, quantity=2))
    held = await engine.place(market.wish("held", group=group))
    await market.authorise(second.order_id)
    await market.pass_deadline(group)
    assert await advance(engine, market, group) == "closing"
    await market.pass_grace(group)
    assert await advance(engine, market, group) == "settling"
    assert await market.operations("capture") == {}
    assert await market.operations("void") == {orders[0]: 900, second.order_id: 1800}
    assert (await market.order(held.order_id))["status"] == "expired"
    assert (await market.lane(deal))["sold_units"] == 0
    assert await market.pool.fetchval("SELECT sum(units) FROM deal_buyers") == 0
    await engine.apply_seat_releases(10)
    assert await LaneMemory.of(redis, deal).units_left() == 100
    assert await LaneMemory.of(redis, deal).seats() == {}
    await engine.place(market.wish("pair", deal=deal, quantity=2))
    await market.end_operations("void")
    await market.pass_settling()
    assert await advance(engine, market, group) == "failed"
    await sound()


async def test_an_empty_group_runs_to_its_deadline_and_fails(
    engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal()
    placed = await engine.place(market.wish("ann", deal=deal))
    group = await market.group_of(placed.order_id)
    await market.end("declined", placed.order_id)
    await engine.apply_seat_releases(10)
    await market.pool.execute("UPDATE group_progress SET check_at = app_now()")
    assert await advance(engine, market, group) == "open"
    again = await engine.place(market.wish("bob", group=group))
    assert (await market.order(again.order_id))["seat"] == 1
    await market.end("declined", again.order_id)
    await engine.apply_seat_releases(10)
    await market.pass_deadline(group)
    assert await advance(engine, market, group) == "failed"
    assert (await market.group(group))["final_headcount"] == 0
    await sound()


async def test_with_no_worker_for_days_every_overdue_group_settles_when_one_returns(
    engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),), stock=200)
    groups = []
    for n in range(25):
        placed = await engine.place(market.wish(f"buyer-{n}", deal=deal, verb="open"))
        if n % 2:
            await market.authorise(placed.order_id)
        groups.append(await market.group_of(placed.order_id))
    await market.pool.execute(
        "UPDATE groups SET opened_at = opened_at - interval '5 days', deadline = deadline - interval '4 days'"
    )
    await market.pool.execute("UPDATE group_progress SET check_at = check_at - interval '4 days'")
    await market.pool.execute(
        "UPDATE orders SET hold_until = hold_until - interval '4 days',"
        " created_at = created_at - interval '4 days'"
    )
    await market.pool.execute(
        "UPDATE payment_operations SET due_at = due_at - interval '4 days',"
        " created_at = created_at - interval '4 days'"
    )
    while await engine.expire_unpaid(7):
        pass
    assert await advance(engine, market, groups[0]) == "closing", "nobody has tried its payment"
    assert await market.orders(status="expired") == []
    await market.end("declined", *(order["id"] for order in await market.orders(status="held")))
    assert await advance(engine, market, groups[0]) == "failed"
    await market.end_operations("capture")
    await advance(engine, market, groups[0])
    statuses = [(await market.group(group))["status"] for group in groups]
    assert (statuses.count("failed"), statuses.count("succeeded")) == (13, 12)
    while await engine.apply_seat_releases(7):
        pass
    await sound()


async def test_a_stuck_payment_ends_a_group_after_a_bounded_time(engine: GroupEngine, market: Market) -> None:
    deal = await market.deal()
    group, _ = await founded(engine, market, deal, 3)
    await market.pass_deadline(group)
    assert await advance(engine, market, group) == "settling"
    await market.pool.execute(
        "UPDATE groups SET closing_at = closing_at - interval '6 minutes',"
        " settled_at = settled_at - interval '6 minutes'"
    )
    await market.pass_settling()
    assert await advance(engine, market, group) == "succeeded"
    assert len(await market.operations("capture")) == 3


async def test_the_database_refuses_every_group_transition_that_is_not_drawn(
    engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal()
    group, _ = await founded(engine, market, deal, 3)

    async def refused() -> set[str]:
        now = (await market.group(group))["status"]
        kept = set()
        for status in GROUP_STATUSES:
            try:
                await market.pool.execute("UPDATE groups SET status = $2 WHERE id = $1", group, status)
            except asyncpg.CheckViolationError as error:
                if error.constraint_name == "group_transition":
                    kept.add(status)
        assert (await market.group(group))["status"] == now
        return kept

    assert await refused() == {"settling", "succeeded", "failed"}
    late = await engine.place(market.wish("late", group=group))
    await market.pass_deadline(group)
    assert await advance(engine, market, group) == "closing"
    assert await refused() == {"open", "succeeded", "failed"}
    await market.authorise(late.order_id)
    assert await advance(engine, market, group) == "settling"
    assert await refused() == {"open", "closing"}
    await market.end_operations("capture")
    assert await advance(engine, market, group) == "succeeded"
    assert await refused() == {"open", "closing", "settling", "failed"}


@pytest.mark.parametrize(
    ("path", "may_become"),
    [
        ((), {"authorised", "declined", "expired", "cancelled"}),
        (("authorised",), {"captured", "cancelled", "released", "payment_failed"}),
        (("authorised", "captured"), {"partially_refunded", "refunded"}),
        (("authorised", "captured", "partially_refunded"), {"refunded"}),
        (("authorised", "captured", "refunded"), set()),
        (("declined",), set()),
        (("expired",), set()),
        (("cancelled",), set()),
        (("authorised", "released"), set()),
        (("authorised", "payment_failed"), set()),
    ],
    ids=lambda statuses: ",".join(sorted(statuses)) if isinstance(statuses, set) else str(statuses),
)
async def test_the_database_refuses_every_order_transition_that_is_not_drawn(
    engine: GroupEngine, market: Market, path: tuple[str, ...], may_become: set[str]
) -> None:
    deal = await market.deal()
    order = (await engine.place(market.wish("ann", deal=deal))).order_id
    update = (
        "UPDATE orders SET status = $2, final_unit_minor = 900,"
        " (refund_asked_minor, refunded_minor) = (SELECT r, r FROM (SELECT"
        " CASE $2 WHEN 'partially_refunded' THEN 1 WHEN 'refunded' THEN 900 ELSE 0 END AS r) AS refunds)"
        " WHERE id = $1"
    )
    for status in path:
        await market.pool.execute(update, order, status)
    here = path[-1] if path else "held"
    allowed = set()
    for status in set(ORDER_STATUSES) - {here}:
        async with market.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(update, order, status)
                allowed.add(status)
            except asyncpg.CheckViolationError as error:
                if error.constraint_name != "order_transition":
                    raise
            finally:
                await transaction.rollback()
    assert allowed == may_become
