"""A merchant's deal says how many seats of a group cards may have that never paid the merchant."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from groups.engine import GroupEngine
from pintuan.buying.archive.service import Archivist
from pintuan.money.payments.gateway import Succeeded
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.recording import Finished, record
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.money.payments.store import FAILED_CARD_MS, claim_due
from pintuan.running.audit.store import checks, offenders
from sql import load_queries
from tests.integration.money.payments.test_books import refund
from tests.interleaving import holding
from tests.market import Market
from tests.rows import PRICE_MINOR, Rows

pytestmark = pytest.mark.anyio

IN: tuple[str, str | None] = ("authorised", None)
OUT: tuple[str, str | None] = ("declined", "new_card_limit")
PROVEN = "pm_ok:proven"


async def work(pool: asyncpg.Pool) -> None:
    """Does all payments that are due, as a worker process does."""
    await PaymentExecutor(pool, SandboxGateway(pool)).drain()


async def pay(pool: asyncpg.Pool) -> None:
    """Does all payments that are due, and holds no check of the audit broken."""
    await work(pool)
    async with pool.acquire() as connection:
        for check in checks():
            # Rows made here were not asked for under a key.
            if check.name != "requests_lead_to_their_orders":
                assert await offenders(connection, check) == [], check


async def ends(pool: asyncpg.Pool, *orders: str) -> list[tuple[str, str | None]]:
    """(status, why it was declined) of each order."""
    rows = await pool.fetch("SELECT id, status, decline_reason FROM every_order WHERE id = ANY($1)", orders)
    found = {row["id"]: (row["status"], row["decline_reason"]) for row in rows}
    return [found[order] for order in orders]


async def seats(rows: Rows, group: str, *methods: str) -> list[tuple[str, str | None]]:
    """What became of a seat of the group for each payment method, one after the other."""
    orders = []
    for method in methods:
        orders.append(await rows.order(group=group, method=method))
        await pay(rows.pool)
    return await ends(rows.pool, *orders)


async def test_as_many_new_cards_as_the_deal_says_lower_the_price_and_a_further_one_is_let_go(
    pool: asyncpg.Pool, market: Market, engine: GroupEngine
) -> None:
    deal = await market.deal(ladder=((2, 900), (3, 800), (4, 100)), min_headcount=2, new_cards=3)
    orders: list[str] = []
    for number in range(5):
        group = await market.group_of(orders[0]) if orders else None
        placed = await engine.place(market.wish(f"buyer-{number}", deal=deal, group=group))
        orders.append(placed.order_id)
        await work(pool)
    assert await ends(pool, *orders) == [IN, IN, IN, OUT, OUT]
    assert await pool.fetchval("SELECT headcount FROM group_progress") == 3
    assert (await market.lane(deal))["sold_units"] == 3
    voided = await pool.fetch("SELECT reference FROM sandbox_gateway.authorisations WHERE status = 'voided'")
    assert {row["reference"] for row in voided} == set(orders[3:])

    placed = await engine.place(market.wish("buyer-3", deal=deal, verb="solo"))
    await pay(pool)
    assert await ends(pool, placed.order_id) == [("captured", None)]
    await engine.apply_seat_releases(10)
    again = await engine.place(market.wish("buyer-3", group=await market.group_of(orders[0])))
    await pay(pool)
    assert await ends(pool, again.order_id) == [IN]
    assert await pool.fetchval("SELECT headcount FROM group_progress") == 4


async def test_without_the_term_any_number_of_new_cards_may_have_seats(pool: asyncpg.Pool) -> None:
    rows = await Rows.open(pool)
    group = await rows.group()
    assert await seats(rows, group, *(f"pm_ok:card-{n}" for n in range(5))) == [IN] * 5
    assert await pool.fetchval("SELECT count(*) FROM orders WHERE new_card") == 0


async def test_results_of_one_group_that_are_recorded_together_are_counted_one_by_one(
    pool: asyncpg.Pool,
) -> None:
    rows = await Rows.open(pool, new_cards=2)
    groups = [await rows.group() for _ in range(2)]
    orders = [await rows.order(group=group) for group in groups for _ in range(4)]
    claims = {claim.order_id: claim for claim in await claim_due(pool, count_max=10, lease_ms=60_000)}
    await record(pool, [Finished(claims[order], Succeeded("ref", f"card of {order}")) for order in orders])
    assert await ends(pool, *orders) == [IN, IN, OUT, OUT] * 2


async def test_a_card_that_paid_the_merchant_before_is_not_counted(pool: asyncpg.Pool) -> None:
    rows = await Rows.open(pool, new_cards=1)
    await rows.order(method=PROVEN)
    await pay(pool)
    group = await rows.group()
    assert await seats(rows, group, PROVEN, "pm_ok:one", "pm_ok:two") == [IN, IN, OUT]
    assert await seats(rows, await rows.group(), "pm_ok:one", PROVEN, "pm_ok:two") == [IN, IN, OUT]


async def test_a_card_is_proven_by_a_seat_of_another_group_once_that_is_captured(pool: asyncpg.Pool) -> None:
    rows = await Rows.open(pool, new_cards=1)
    seat = await rows.order(group=await rows.group(), method=PROVEN)
    await pay(pool)
    assert await seats(rows, await rows.group(), "pm_ok:one", PROVEN) == [IN, OUT]
    await rows.charge(seat)
    await work(pool)
    group = await rows.group()
    for method in ("pm_ok:one", PROVEN):
        order = await rows.order(group=group, method=method)
        await work(pool)
        assert await ends(pool, order) == [IN]


async def test_a_payment_to_another_merchant_proves_nothing(pool: asyncpg.Pool) -> None:
    another = await Rows.open(pool, merchant="cheap")
    await another.order(method=PROVEN)
    rows = await Rows.open(pool, new_cards=0)
    await pay(pool)
    assert await seats(rows, await rows.group(), PROVEN) == [OUT]


async def test_a_payment_that_was_given_back_whole_proves_nothing_and_one_in_part_does(
    pool: asyncpg.Pool,
) -> None:
    rows = await Rows.open(pool, new_cards=0)
    order = await rows.order(method=PROVEN)
    await pay(pool)
    for amount, end in ((100, IN), (PRICE_MINOR - 100, OUT)):
        await refund(rows, order, amount)
        await pay(pool)
        assert await seats(rows, await rows.group(), PROVEN) == [end]


async def test_with_none_allowed_the_first_member_needs_a_proven_card_too_and_a_purchase_alone_never_does(
    pool: asyncpg.Pool,
) -> None:
    rows = await Rows.open(pool, new_cards=0)
    group = await rows.group()
    assert await seats(rows, group, "pm_ok:one", "pm_ok:two") == [OUT, OUT]
    alone = await rows.order(method="pm_ok:one")
    await pay(pool)
    assert await ends(pool, alone) == [("captured", None)]
    assert await seats(rows, group, "pm_ok:one", "pm_ok:two") == [IN, OUT]


async def test_a_card_stays_proven_when_its_order_is_archived_and_until_its_buyer_is_forgotten(
    pool: asyncpg.Pool,
) -> None:
    rows = await Rows.open(pool, new_cards=0)
    order = await rows.order(method=PROVEN)
    await pay(pool)
    await pool.execute("DELETE FROM seat_releases")
    assert await Archivist(pool, age_ms=0).archive_solo_orders(10) == 1
    assert await pool.fetchval("SELECT count(*) FROM archived_orders WHERE id = $1", order) == 1
    assert await seats(rows, await rows.group(), PROVEN) == [IN]
    await pool.execute("UPDATE archived_orders SET card_digest = NULL")
    assert await seats(rows, await rows.group(), PROVEN) == [OUT]


async def test_a_seat_that_is_given_up_is_free_for_another_new_card(pool: asyncpg.Pool) -> None:
    rows = await Rows.open(pool, new_cards=1)
    group = await rows.group()
    first = await rows.order(group=group, method="pm_ok:one")
    await pay(pool)
    assert await seats(rows, group, "pm_ok:two") == [OUT]
    await rows.move(first, "cancelled")
    await rows.operation(first, "void")
    assert await seats(rows, group, "pm_ok:two", "pm_ok:three") == [IN, OUT]


async def test_a_card_that_the_gateway_did_not_tell_counts_as_a_new_one(pool: asyncpg.Pool) -> None:
    rows = await Rows.open(pool, new_cards=1)
    group = await rows.group()
    orders = [await rows.order(group=group) for _ in range(2)]
    claims = {claim.order_id: claim for claim in await claim_due(pool, count_max=10, lease_ms=60_000)}
    await record(pool, [Finished(claims[order], Succeeded("ref")) for order in orders])
    assert await ends(pool, *orders) == [IN, OUT]


async def test_what_else_a_card_is_refused_for_is_said_first_and_takes_no_seat_from_new_cards(
    pool: asyncpg.Pool,
) -> None:
    rows = await Rows.open(pool, new_cards=2)
    group = await rows.group()
    twice = ("declined", "card_in_group")
    assert await seats(rows, group, "pm_ok:one", "pm_ok:one", "pm_ok:two", "pm_ok:two", "pm_ok:three") == [
        IN,
        twice,
        IN,
        twice,
        OUT,
    ]


async def test_several_processes_seat_no_more_new_cards_than_one_does(pool: asyncpg.Pool) -> None:
    rows = await Rows.open(pool, new_cards=2)
    group = await rows.group()
    for _ in range(8):
        await rows.order(group=group)
    processes = [PaymentExecutor(pool, SandboxGateway(pool), calls_in_flight_max=1) for _ in range(4)]
    await asyncio.gather(*(process.drain() for process in processes))
    statuses = [row["status"] for row in await pool.fetch("SELECT status FROM orders")]
    assert (statuses.count("authorised"), statuses.count("declined")) == (2, 6)


async def test_a_new_card_waits_for_another_of_its_group_that_is_being_recorded(
    pool: asyncpg.Pool, database_url: str
) -> None:
    rows = await Rows.open(pool, new_cards=1)
    group = await rows.group()
    first, second = [await rows.order(group=group) for _ in range(2)]
    claims = {claim.order_id: claim for claim in await claim_due(pool, count_max=10, lease_ms=60_000)}
    # Whoever has the last lock a recording takes before it looks who has a seat is followed by the others.
    async with holding(database_url, "SELECT FROM group_progress FOR UPDATE") as progress:
        sides = []
        for count, order in enumerate((first, second), 1):
            answer = Succeeded("ref", f"card of {order}")
            sides.append(asyncio.create_task(record(pool, [Finished(claims[order], answer)])))
            await progress.waiters(count)
        await progress.commit()
        await asyncio.gather(*sides)
    assert await ends(pool, first, second) == [IN, OUT]


async def test_deals_without_the_term_look_up_no_payment_and_count_nothing(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = await Rows.open(pool)
    order = await rows.order(group=await rows.group())
    statement = load_queries("pintuan.money.payments")["judge_cards"]
    assert await lookups(pool, statement, order) == 0
    await pool.execute("UPDATE deals SET new_cards_per_group = 1")
    assert await lookups(pool, statement, order) > 0
    await pool.execute("UPDATE deals SET new_cards_per_group = NULL")

    async def refuse(*_: object) -> dict[str, int]:
        raise AssertionError("counted, though the deal limits nothing")

    monkeypatch.setattr("pintuan.money.payments.store.count_new_cards", refuse)
    await work(pool)
    assert await ends(pool, order) == [IN]


async def lookups(pool: asyncpg.Pool, statement: str, order: str) -> int:
    """How often judging the order's card looked for what cards paid."""
    text = await pool.fetchval(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", [order], ["card"], FAILED_CARD_MS
    )
    return sum(
        node["Actual Loops"]
        for node in nodes(json.loads(text)[0]["Plan"])
        if node.get("Relation Name") == "archived_orders" or "paid_by_card" in node.get("Index Name", "")
    )


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """All nodes of a plan."""
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]
