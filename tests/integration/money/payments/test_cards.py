"""A card is one head of a group, one buyer of a deal, and none while it owes a capture."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from groups.engine import GroupEngine
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.running.audit.store import checks, notices, offenders
from pintuan.selling.sales.store import address_reference_of, card_reference_of
from tests.market import Market
from tests.rows import Rows

pytestmark = pytest.mark.anyio


def executor(pool: asyncpg.Pool) -> PaymentExecutor:
    """What a worker process has one of."""
    return PaymentExecutor(pool, SandboxGateway(pool))


async def sound(pool: asyncpg.Pool) -> None:
    """Holds no check of the audit that Postgres alone can answer broken."""
    async with pool.acquire() as connection:
        for check in checks():
            assert await offenders(connection, check) == [], check


async def reasons(pool: asyncpg.Pool) -> dict[str, Any]:
    """Order -> (status, why it was declined)."""
    rows = await pool.fetch("SELECT id, status, decline_reason FROM orders")
    return {row["id"]: (row["status"], row["decline_reason"]) for row in rows}


async def test_the_second_seat_of_a_card_in_a_group_is_declined_and_its_hold_let_go(
    pool: asyncpg.Pool, market: Market, engine: GroupEngine
) -> None:
    deal = await market.deal(ladder=((2, 900), (3, 100)), min_headcount=2)
    orders: list[str] = []
    for buyer in ("ann", "bob", "cem"):
        group = await market.group_of(orders[0]) if orders else None
        placed = await engine.place(market.wish(buyer, deal=deal, group=group, method="pm_ok:one-card"))
        orders.append(placed.order_id)
    real = await engine.place(
        market.wish("dan", deal=deal, group=await market.group_of(orders[0]), method="pm_ok")
    )
    await executor(pool).drain()
    found = await reasons(pool)
    assert sorted(found[order] for order in orders) == [
        ("authorised", None),
        ("declined", "card_in_group"),
        ("declined", "card_in_group"),
    ]
    assert found[real.order_id] == ("authorised", None)
    assert await pool.fetchval("SELECT headcount FROM group_progress") == 2
    voided = await pool.fetchval(
        "SELECT count(*) FROM sandbox_gateway.authorisations WHERE status = 'voided'"
    )
    assert voided == 2
    await sound(pool)


async def test_one_card_takes_one_seat_though_several_processes_record_it_at_once(
    pool: asyncpg.Pool,
) -> None:
    rows = await Rows.open(pool)
    group = await rows.group()
    for _ in range(8):
        await rows.order(group=group, method="pm_ok:one-card")
    processes = [PaymentExecutor(pool, SandboxGateway(pool), calls_in_flight_max=1) for _ in range(4)]
    await asyncio.gather(*(process.drain() for process in processes))
    statuses = [status for status, _ in (await reasons(pool)).values()]
    assert (statuses.count("authorised"), statuses.count("declined")) == (1, 7)


async def test_the_constraint_holds_what_the_decision_read_too_early(pool: asyncpg.Pool) -> None:
    rows = await Rows.open(pool)
    group = await rows.group()
    orders = [await rows.order(group=group) for _ in range(2)]
    await pool.execute("UPDATE orders SET card_digest = card_digest('one') WHERE id = $1", orders[0])
    with pytest.raises(asyncpg.UniqueViolationError, match="order_card_once"):
        await pool.execute("UPDATE orders SET card_digest = card_digest('one') WHERE id = $1", orders[1])


async def test_a_card_whose_seat_is_free_again_may_take_another(pool: asyncpg.Pool) -> None:
    rows = await Rows.open(pool)
    group = await rows.group()
    first = await rows.order(group=group, method="pm_ok:one-card")
    await executor(pool).drain()
    await rows.move(first, "cancelled")
    second = await rows.order(group=group, method="pm_ok:one-card")
    await executor(pool).drain()
    assert await rows.status(second) == "authorised"


async def test_a_card_that_could_not_be_charged_takes_no_seat_until_it_is_charged_elsewhere(
    pool: asyncpg.Pool,
) -> None:
    rows = await Rows.open(pool)
    failing = await rows.order(group=await rows.group(), method="pm_capture_fails:one-card")
    await executor(pool).drain()
    await rows.charge(failing)
    await executor(pool).drain()
    assert await rows.status(failing) == "payment_failed"

    refused = await rows.order(group=await rows.group(), method="pm_ok:one-card")
    await executor(pool).drain()
    assert (await reasons(pool))[refused] == ("declined", "card_failed_before")

    # Alone it lowers nobody's price, and pays at once.
    alone = await rows.order(method="pm_ok:one-card")
    await executor(pool).drain()
    assert await rows.status(alone) == "captured"
    seat = await rows.order(group=await rows.group(), method="pm_ok:one-card")
    await executor(pool).drain()
    assert await rows.status(seat) == "authorised"


async def test_a_failed_capture_is_forgiven_after_thirty_days(pool: asyncpg.Pool) -> None:
    rows = await Rows.open(pool)
    await pool.execute(
        "INSERT INTO failed_cards VALUES (card_digest('one-card'), app_now() - interval '31 days')"
    )
    seat = await rows.order(group=await rows.group(), method="pm_ok:one-card")
    await executor(pool).drain()
    assert await rows.status(seat) == "authorised"


async def test_one_card_holds_no_more_units_of_a_deal_than_one_buyer_may(
    pool: asyncpg.Pool, market: Market, engine: GroupEngine
) -> None:
    deal = await market.deal(stock=40, per_buyer=5)
    for n in range(4):
        await engine.place(
            market.wish(f"buyer-{n}", deal=deal, verb="open", quantity=3, method="pm_ok:one-card")
        )
    await executor(pool).drain()
    found = sorted((await reasons(pool)).values(), key=str)
    assert found == [("authorised", None), *[("declined", "card_limit")] * 3]
    assert (await market.lane(deal))["sold_units"] == 3
    await sound(pool)


async def test_operators_are_shown_cards_and_addresses_that_accounts_share(pool: asyncpg.Pool) -> None:
    rows = await Rows.open(pool)
    for _ in range(5):
        await rows.order(group=await rows.group(), method="pm_ok:one-card")
    await pool.execute("""UPDATE orders SET ship_to = '{"city": "Lyon"}'""")
    await executor(pool).drain()
    async with pool.acquire() as connection:
        found = {notice.name: await offenders(connection, notice) for notice in notices()}
    (card,), (address,) = found["cards_shared_by_accounts"], found["addresses_shared_by_accounts"]
    assert card.detail == "5 accounts, 5 orders in 1 deals, 5 of them live"
    assert "Lyon" not in address.id + address.detail
    assert "5 accounts" in address.detail


async def test_merchants_know_cards_and_addresses_by_names_of_their_own() -> None:
    one, another = b"1" * 32, b"2" * 32
    assert card_reference_of(one, b"card") == card_reference_of(one, b"card")
    assert card_reference_of(one, b"card") != card_reference_of(another, b"card")
    home = {"name": "Ann Lee", "city": "Lyon"}
    assert address_reference_of(one, home) == address_reference_of(one, {"city": "LYON ", "name": "ann lee"})
    assert address_reference_of(one, home) != address_reference_of(one, home | {"city": "Nice"})
    assert address_reference_of(one, home) != address_reference_of(another, home)


async def test_without_the_key_of_digests_no_card_is_taken_for_one_of_its_own(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("DELETE FROM card_keys")
        with pytest.raises(asyncpg.NoDataFoundError):
            await connection.fetchval("SELECT card_digest('one-card')")
        await transaction.rollback()


async def test_cards_of_their_own_pay_whatever_others_do(pool: asyncpg.Pool) -> None:
    rows = await Rows.open(pool)
    group = await rows.group()
    orders = [await rows.order(group=group) for _ in range(5)]
    await executor(pool).drain()
    assert {await rows.status(order) for order in orders} == {"authorised"}
    digests = await pool.fetch("SELECT DISTINCT card_digest FROM orders")
    assert len(digests) == 5
    assert all(len(row["card_digest"]) == 16 for row in digests)
