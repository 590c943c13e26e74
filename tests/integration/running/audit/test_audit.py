"""The audit finds nothing wrong with a marketplace that ran, and names whatever is then broken by hand."""

import asyncpg
import pytest

from groups.engine import open_engine
from groups.keys import Lane, LaneKeys
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.money.refunds.schemas import NewRefund
from pintuan.money.refunds.service import ask_refund
from pintuan.running.audit.service import PRICE_CHECK, REDIS_CHECK, Report
from tests.auditing import audited
from tests.interleaving import lane_store
from tests.market import Market, digest

pytestmark = pytest.mark.anyio

# What breaks each check, done to the data behind the back of every constraint and trigger.
SABOTAGE = {
    "seats_within_capacity": "UPDATE orders SET seat = 1 WHERE group_id IS NOT NULL",
    "orders_belong_to_their_group": "UPDATE orders SET group_capacity = 99 WHERE group_id IS NOT NULL",
    "lanes_count_what_is_sold": "UPDATE lanes SET sold_units = sold_units + 1",
    "lanes_add_up_to_the_stock": "UPDATE deals SET stock_units = stock_units + 5",
    "buyers_within_their_limit": "UPDATE deal_buyers SET units = units + 1",
    "new_cards_within_their_limit": "UPDATE orders SET new_card = true;"
    " UPDATE deals SET new_cards_per_group = 0",
    "archive_is_whole": "INSERT INTO archived_orders SELECT * FROM orders",
    "requests_lead_to_their_orders": "DELETE FROM idempotency_keys",
    "headcounts_are_authorised_members": "UPDATE group_progress SET headcount = headcount + 1",
    "groups_close_in_time": "UPDATE group_progress SET check_at = NULL",
    "charges_keep_promises": "UPDATE orders SET final_unit_minor = 1 WHERE status = 'captured'",
    "captures_take_the_charge": "UPDATE payment_operations SET amount_minor = 1 WHERE kind = 'capture'",
    "authorisations_end": "DELETE FROM payment_operations WHERE kind IN ('capture', 'void')",
    "orders_are_paid_for_once": "UPDATE payment_operations SET state = 'declined' WHERE kind = 'authorise'",
    "ledger_adds_up": "UPDATE ledger_balances SET balance_minor = balance_minor + 1",
    "charges_are_in_the_ledger": "DELETE FROM ledger_postings WHERE kind = 'capture'",
    "refunds_are_what_was_asked": "DELETE FROM refunds",
    "sandbox_books_agree": "UPDATE sandbox_gateway.authorisations SET captured_minor = captured_minor - 1"
    " WHERE status = 'captured'",
    "offers_are_kept": "UPDATE products SET title = 'Sticker'",
    PRICE_CHECK: "UPDATE groups SET final_unit_price_minor = 1 WHERE status = 'succeeded'",
}


@pytest.fixture
async def deal(pool: asyncpg.Pool, redis_url: str) -> str:
    """A group that succeeded, one that failed, one that is open, and a purchase refunded in part."""
    market = Market(pool)
    deal_id = await market.deal(min_headcount=2, max_headcount=5)
    executor = PaymentExecutor(pool, SandboxGateway(pool), on_recorded=lambda _: None)
    async with open_engine(pool, redis_url, rates=None) as engine:
        opened = {}
        for name in ("good", "bad", "open"):
            placed = await engine.place(market.wish(f"{name}-leader", deal=deal_id, verb="open"))
            opened[name] = (await market.order(placed.order_id))["group_id"]
        for name in ("good", "open"):
            await engine.place(market.wish(f"{name}-friend", group=opened[name]))
        alone = await engine.place(market.wish("loner", deal=deal_id, verb="solo"))
        await executor.drain()
        await ask_refund(
            pool,
            alone.order_id,
            NewRefund(amount=100, reason="a scratch"),
            merchant_id=None,
            asked_by="acme",
            request_id=digest("refund"),
            body_digest=digest("body"),
        )
        for name in ("good", "bad"):
            await market.pass_deadline(opened[name])
        await engine.advance_due_groups(10)
        await executor.drain()
        await market.pass_settling()
        await engine.advance_due_groups(10)
        await engine.apply_seat_releases(100)
    assert (await market.group(opened["good"]))["status"] == "succeeded"
    assert (await market.group(opened["bad"]))["status"] == "failed"
    return deal_id


def broken(report: Report) -> set[str]:
    return {check.name for check in report.checks if check.offenders}


@pytest.mark.usefixtures("deal")
async def test_a_marketplace_that_ran_breaks_nothing(pool: asyncpg.Pool, redis_url: str) -> None:
    report = await audited(pool, redis_url)
    assert (broken(report), report.ok) == (set(), True)
    assert {check.name for check in report.checks} == {*SABOTAGE, REDIS_CHECK}
    assert (report.lanes_compared, report.lanes_count) == (1, 1)


@pytest.mark.usefixtures("deal")
@pytest.mark.parametrize("check", SABOTAGE)
async def test_what_is_broken_by_hand_is_named(check: str, pool: asyncpg.Pool, redis_url: str) -> None:
    async with pool.acquire() as connection:
        await connection.execute("DROP INDEX order_seat_once")
        # Triggers do not fire for a replica; checks do, and none of the above breaks one.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(SABOTAGE[check])
        await connection.execute("RESET session_replication_role")
    report = await audited(pool, redis_url)
    assert check in broken(report)
    assert not report.ok


async def test_a_redis_that_counts_other_units_is_named(
    pool: asyncpg.Pool, redis_url: str, deal: str
) -> None:
    lane = Lane(deal, 0)
    async with lane_store(redis_url) as store:
        await store.execute("HINCRBY", LaneKeys.of(lane).meta, "units_left", 3)
    report = await audited(pool, redis_url)
    assert broken(report) == {REDIS_CHECK}


async def test_a_seat_that_only_redis_knows_is_named(pool: asyncpg.Pool, redis_url: str, deal: str) -> None:
    keys = LaneKeys.of(Lane(deal, 0))
    async with lane_store(redis_url) as store:
        flat = await store.execute("HGETALL", keys.seats)
        await store.execute("HSET", keys.seats, "ord_nobody", flat[1])
    report = await audited(pool, redis_url)
    assert broken(report) == {REDIS_CHECK}
    assert any("ord_nobody" in offender.detail for check in report.checks for offender in check.offenders)


@pytest.mark.usefixtures("deal")
async def test_a_cold_lane_says_nothing_wrong(pool: asyncpg.Pool, redis_url: str) -> None:
    async with lane_store(redis_url) as store:
        await store.execute("FLUSHALL")
    report = await audited(pool, redis_url)
    assert report.ok
    assert (report.lanes_compared, report.lanes_count) == (0, 1), "and it is told that it was not asked"
