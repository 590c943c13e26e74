"""Expiring, paying, cancelling and joining meet in every order, and each order ends in one way."""

import asyncio
import functools

import asyncpg
import pytest

from groups.cancellation import Cancellation
from groups.engine import GroupEngine
from groups.errors import CancelLocked, IdempotencyKeyReused, NotCancellable
from groups.setbacks import SecondTries
from tests.integration.groups.conftest import Sound
from tests.interleaving import LOCK_GROUP, LOCK_LANE, LOCK_ORDER, holding, outcomes_of
from tests.market import Market, digest
from tests.poison import make_second_tries_due
from tests.waiting import until

pytestmark = pytest.mark.anyio

LADDER = ((2, 900), (5, 800))
LOCK_BUYER = "SELECT FROM deal_buyers WHERE buyer_id = $1 FOR UPDATE"


def leaving(order: asyncpg.Record, *, key: str = "leave", body: bytes = b"") -> Cancellation:
    return Cancellation(order["id"], order["buyer_id"], digest(key, order["id"]), body)


async def members(
    engine: GroupEngine, market: Market, count: int, *, per_buyer: int = 10
) -> list[asyncpg.Record]:
    """A group of a fresh deal whose members were authorised one after another."""
    deal = await market.deal(ladder=LADDER, min_headcount=2, per_buyer=per_buyer)
    for n in range(count):
        placed = await engine.place(market.wish(f"buyer-{n}", deal=deal))
        await market.authorise(placed.order_id)
    return await market.orders(deal_id=deal)


async def pass_hold(market: Market, order_id: str) -> None:
    await market.pass_hold(order_id)


async def test_an_expiry_that_waits_for_a_join_of_the_same_buyer_lets_it_through(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, database_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    unpaid = await engine.place(market.wish("ann", deal=deal, verb="open"))
    await pass_hold(market, unpaid.order_id)
    async with holding(database_url, LOCK_LANE, deal, 0) as lane:
        joins = asyncio.create_task(engine.place(market.wish("ann", deal=deal, verb="open")))
        await lane.waiters(1)
        expires = asyncio.create_task(another_engine.expire_unpaid(10))
        await lane.waiters(2)
        await lane.commit()
        assert not (await joins).replayed
        assert await expires == 1
    assert (await market.lane(deal))["sold_units"] == 1
    await engine.apply_seat_releases(10)
    await sound()


async def test_a_join_passes_an_expiry_that_waits_for_its_buyer(
    engine: GroupEngine, market: Market, database_url: str, sound: Sound
) -> None:
    deal = await market.deal()
    unpaid = await engine.place(market.wish("ann", deal=deal))
    await pass_hold(market, unpaid.order_id)
    async with holding(database_url, LOCK_BUYER, "ann") as buyer:
        expires = asyncio.create_task(engine.expire_unpaid(10))
        await buyer.waiters(1)
        assert not (await engine.place(market.wish("bob", deal=deal))).replayed
        await buyer.commit()
        assert await expires == 1
    assert [order["status"] for order in await market.orders(deal_id=deal)] == ["expired", "held"]
    await engine.apply_seat_releases(10)
    await sound()


async def test_an_expired_buyer_gets_back_in_once_the_lane_knows(
    engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal(per_buyer=1)
    unpaid = await engine.place(market.wish("ann", deal=deal))
    await pass_hold(market, unpaid.order_id)
    assert await engine.expire_unpaid(10) == 1
    assert await engine.expire_unpaid(10) == 0
    assert await engine.apply_seat_releases(10) == 1
    again = await engine.place(market.wish("ann", deal=deal))
    assert (await market.order(again.order_id))["seat"] == 1
    await sound()


async def test_a_payment_that_comes_first_keeps_its_seat_from_expiring(
    engine: GroupEngine, market: Market, database_url: str
) -> None:
    deal = await market.deal()
    paid = await engine.place(market.wish("ann", deal=deal))
    await pass_hold(market, paid.order_id)
    authorise = "UPDATE orders SET status = 'authorised' WHERE id = $1"
    async with holding(database_url, authorise, paid.order_id) as payment:
        assert await engine.expire_unpaid(10) == 0
        await payment.commit()
    assert await engine.expire_unpaid(10) == 0
    assert (await market.order(paid.order_id))["status"] == "authorised"


async def test_a_payment_that_comes_second_is_refused_by_the_expired_seat(
    engine: GroupEngine, market: Market, database_url: str
) -> None:
    deal = await market.deal()
    unpaid = await engine.place(market.wish("ann", deal=deal))
    await pass_hold(market, unpaid.order_id)
    async with holding(database_url, LOCK_BUYER, "ann") as buyer:
        expires = asyncio.create_task(engine.expire_unpaid(10))
        await buyer.waiters(1)
        pays = asyncio.create_task(market.authorise(unpaid.order_id))
        await buyer.waiters(2)
        await buyer.commit()
        assert await expires == 1
        with pytest.raises(asyncpg.CheckViolationError, match="expired to authorised"):
            await pays


async def test_a_cancel_that_waits_for_the_settlement_comes_too_late(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, database_url: str, sound: Sound
) -> None:
    orders = await members(engine, market, 4)
    group = orders[0]["group_id"]
    await market.pass_deadline(group)
    async with holding(database_url, LOCK_ORDER, min(order["id"] for order in orders)) as order:
        settles = asyncio.create_task(engine.advance_due_groups(10))
        await order.waiters(1)
        cancels = asyncio.create_task(another_engine.cancel(leaving(orders[0])))
        await order.waiters(2)
        await order.commit()
        await settles
        with pytest.raises(NotCancellable):
            await cancels
    assert (await market.group(group))["final_headcount"] == 4
    assert len(await market.operations("capture")) == 4
    await sound()


async def test_a_cancel_that_waited_past_the_deadline_changes_nothing(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, database_url: str, sound: Sound
) -> None:
    orders = await members(engine, market, 4)
    group = orders[0]["group_id"]
    await market.bring_deadline(group, in_ms=400)
    async with holding(database_url, LOCK_ORDER, orders[0]["id"]) as order:
        cancels = asyncio.create_task(engine.cancel(leaving(orders[0])))
        await order.waiters(1)
        await until(functools.partial(market.is_overdue, group))
        settles = asyncio.create_task(another_engine.advance_due_groups(10))
        await order.waiters(2)
        await order.commit()
        outcome = (await outcomes_of([cancels]))[0]
        await settles
    # The wait took Ann past the deadline, so nothing was cancelled; the settlement decides alone.
    assert isinstance(outcome, NotCancellable)
    assert (await market.group(group))["final_headcount"] == 4
    await sound()


async def test_of_two_members_who_leave_at_once_only_one_may_when_both_would_break_a_promise(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, database_url: str, sound: Sound
) -> None:
    orders = await members(engine, market, 6)
    assert [order["promised_unit_minor"] for order in orders] == [900, 900, 900, 900, 800, 800]
    group = orders[0]["group_id"]
    async with holding(database_url, LOCK_GROUP, group) as held:
        cancels = [
            asyncio.create_task(one.cancel(leaving(order)))
            for one, order in ((engine, orders[0]), (another_engine, orders[1]))
        ]
        await held.waiters(2)
        await held.commit()
        outcomes = await outcomes_of(cancels)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["CancelLocked", "str"]
    assert len(await market.operations("void")) == 1
    await sound()


async def test_a_held_member_leaves_freely_and_an_authorised_one_is_voided(
    engine: GroupEngine, market: Market, sound: Sound
) -> None:
    orders = await members(engine, market, 5)
    held = await engine.place(market.wish("late", group=orders[0]["group_id"]))
    with pytest.raises(CancelLocked):
        await engine.cancel(leaving(orders[0]))
    # The last one to join was promised the lower price, and nobody else was.
    assert await engine.cancel(leaving(await market.order(held.order_id))) == held.order_id
    await engine.cancel(leaving(orders[4]))
    await engine.cancel(leaving(orders[0]))
    assert await market.operations("void") == {orders[4]["id"]: 800, orders[0]["id"]: 900}
    await sound()


async def test_a_cancel_is_idempotent_and_its_key_belongs_to_its_body(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, sound: Sound
) -> None:
    orders = await members(engine, market, 3)
    repeated = await outcomes_of(one.cancel(leaving(orders[0])) for one in (engine, another_engine, engine))
    assert repeated == [orders[0]["id"]] * 3
    assert len(await market.operations("void")) == 1
    with pytest.raises(IdempotencyKeyReused):
        await engine.cancel(leaving(orders[0], body=b"other"))
    with pytest.raises(NotCancellable):
        await engine.cancel(leaving(orders[0], key="another"))
    await sound()


async def test_a_join_that_waited_for_a_member_to_leave_is_promised_the_price_without_him(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, database_url: str, sound: Sound
) -> None:
    orders = await members(engine, market, 4)
    async with holding(database_url, LOCK_ORDER, orders[0]["id"]) as order:
        cancels = asyncio.create_task(engine.cancel(leaving(orders[0])))
        await order.waiters(1)
        joins = asyncio.create_task(another_engine.place(market.wish("eve", group=orders[0]["group_id"])))
        await order.waiters(2)
        await order.commit()
        await cancels
        joined = await joins
    # With four she would have been the fifth, at 800; he left before she was in.
    assert (await market.order(joined.order_id))["promised_unit_minor"] == 900
    await sound()


async def test_a_cancel_stands_when_its_seat_cannot_be_freed_at_once(
    engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal()
    placed = await engine.place(market.wish("ann", deal=deal))
    await market.pool.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;"
        " CREATE TRIGGER refuse BEFORE DELETE ON seat_releases FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    cancelled = await engine.cancel(Cancellation(placed.order_id, "ann", digest("leave"), b""))
    assert (await market.order(cancelled))["status"] == "cancelled"
    await market.pool.execute("DROP TRIGGER refuse ON seat_releases")
    await make_second_tries_due(market.pool)
    assert await SecondTries(market.pool, engine.second_tries()).look(10) == 1
    assert not await market.pool.fetchval("SELECT count(*) FROM seat_releases")
