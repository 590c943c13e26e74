"""No acknowledged order is lost because nobody worked: its payment is tried before anything ends it.

Time passes by moving what is due into the past, as it would look to a worker that returns.
"""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from groups.engine import HOLD_MS, GroupEngine
from groups.lifecycle import CLOSING_GRACE_MS, PAYMENTS_LOOK_MAX_MS, UNTRIED_WATCH_MS
from pintuan.base.jobs.process_jobs import ProcessJobs
from pintuan.money.payments.gateway import GatewayTimeout, GatewayUnavailable
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from tests.auditing import audited
from tests.integration.money.payments.watching import WatchedGateway
from tests.market import Market
from tests.waiting import until
from tests.working import market_jobs

pytestmark = pytest.mark.anyio

TEN_MINUTES_MS = 600_000
MOVES = (
    "UPDATE orders SET hold_until = hold_until - $1, created_at = created_at - $1 WHERE status = 'held'",
    "UPDATE payment_operations SET due_at = due_at - $1, created_at = created_at - $1,"
    " first_tried_at = first_tried_at - $1 WHERE ended_at IS NULL",
    "UPDATE groups SET opened_at = opened_at - $1, deadline = deadline - $1, closing_at = closing_at - $1,"
    " settle_by = settle_by - $1, settled_at = settled_at - $1 WHERE ended_at IS NULL",
    "UPDATE group_progress SET check_at = check_at - $1, watched_at = watched_at - $1",
)
LIFETIME_S = 3_600
TRIES = 40


@pytest.fixture
def gateway(pool: asyncpg.Pool) -> WatchedGateway:
    return WatchedGateway(SandboxGateway(pool))


@pytest.fixture
def jobs(pool: asyncpg.Pool, engine: GroupEngine, gateway: WatchedGateway) -> ProcessJobs:
    return market_jobs(pool, engine, gateway)


async def pass_time(market: Market, ms: int) -> None:
    for move in MOVES:
        await market.pool.execute(
            move.replace("$1", "$1::bigint * interval '1 millisecond'"),
            ms,
        )


async def statuses(market: Market) -> dict[str, int]:
    rows = await market.pool.fetch("SELECT status, count(*) AS count FROM orders GROUP BY status")
    return {row["status"]: row["count"] for row in rows}


async def join(engine: GroupEngine, market: Market, deal: str, count: int) -> list[str]:
    placed = [await engine.place(market.wish(f"buyer-{n}", deal=deal)) for n in range(count)]
    return [one.order_id for one in placed]


async def test_workers_that_return_after_ten_minutes_expire_nothing_and_settle_everything(
    engine: GroupEngine, market: Market, jobs: ProcessJobs, redis_url: str
) -> None:
    short = await market.deal(ttl_s=300, min_headcount=2, max_headcount=4)
    long = await market.deal(ttl_s=LIFETIME_S, min_headcount=2, max_headcount=4)
    await join(engine, market, short, 11)
    await join(engine, market, long, 11)
    for number in range(3):
        await engine.place(market.wish(f"solo-{number}", deal=long, verb="solo"))
    await pass_time(market, TEN_MINUTES_MS)

    # The worst order: what ends orders looks first.
    await jobs.run("expiry")
    await jobs.run("lifecycle")
    assert (await statuses(market)) == {"held": 25}
    for _ in range(TRIES):
        await asyncio.gather(jobs.run("expiry"), jobs.run("lifecycle"), jobs.run("payments"))
        # So that no look is waited for.
        await market.pool.execute(
            "UPDATE group_progress SET check_at = app_now() WHERE group_id IN (SELECT group_id FROM"
            " group_progress WHERE restless ORDER BY group_id FOR UPDATE SKIP LOCKED)"
        )
        ended = await market.pool.fetch("SELECT deal_id FROM groups WHERE status = 'succeeded'")
        if len(ended) == 5:
            break
    # Three groups of the short deal, two full ones of the long deal, and the purchases without a group.
    assert await statuses(market) == {"captured": 22, "authorised": 3}
    assert sorted(row["deal_id"] for row in ended) == sorted([short] * 3 + [long] * 2)
    await jobs.run("seats")
    await jobs.close()
    report = await audited(market.pool, redis_url)
    assert [check.name for check in report.checks if check.offenders] == []


async def test_a_hold_counts_from_the_first_attempt(
    engine: GroupEngine, market: Market, jobs: ProcessJobs, gateway: WatchedGateway
) -> None:
    (order,) = await join(engine, market, await market.deal(ttl_s=LIFETIME_S), 1)
    await pass_time(market, TEN_MINUTES_MS)
    gateway.broken[order] = GatewayTimeout("lost")
    gateway.blocked[order] = asyncio.Event()
    drain = asyncio.create_task(jobs.run("payments"))
    await gateway.arrived[order].wait()

    await jobs.run("expiry")
    assert await statuses(market) == {"held": 1}
    await pass_time(market, HOLD_MS - 5_000)
    await market.pool.execute("UPDATE payment_operations SET due_at = app_now() + interval '1 minute'")
    await jobs.run("expiry")
    assert await statuses(market) == {"held": 1}
    await pass_time(market, 5_000)
    await jobs.run("expiry")
    assert await statuses(market) == {"expired": 1}

    gateway.blocked[order].set()
    await drain
    await jobs.close()


@pytest.mark.parametrize("state", ["in_flight", "unknown", "due"])
async def test_an_attempt_that_is_due_is_made_before_the_order_expires(
    engine: GroupEngine, market: Market, jobs: ProcessJobs, state: str
) -> None:
    (order,) = await join(engine, market, await market.deal(ttl_s=LIFETIME_S), 1)
    await market.pool.execute(
        "UPDATE payment_operations SET state = $1, attempts = 1, first_tried_at = app_now()", state
    )
    await pass_time(market, TEN_MINUTES_MS)

    await jobs.run("expiry")
    await jobs.run("payments")
    await jobs.close()

    assert (await market.order(order))["status"] == "authorised"


async def test_an_order_whose_payment_was_given_up_expires(
    engine: GroupEngine, market: Market, jobs: ProcessJobs
) -> None:
    await join(engine, market, await market.deal(ttl_s=LIFETIME_S), 1)
    await market.pool.execute(
        "UPDATE payment_operations SET state = 'failed', attempts = 8, first_tried_at = app_now(),"
        " ended_at = app_now(), escalated_at = app_now()"
    )
    await pass_time(market, HOLD_MS)
    await jobs.run("expiry")
    await jobs.close()
    assert await statuses(market) == {"expired": 1}


async def test_orders_that_wait_for_their_attempt_hold_up_no_others_that_are_over(
    engine: GroupEngine, market: Market, jobs: ProcessJobs
) -> None:
    *waiting, over = await join(engine, market, await market.deal(ttl_s=LIFETIME_S), 8)
    await pass_time(market, TEN_MINUTES_MS)
    await market.try_in_vain(over)

    looks = [await engine.expire_unpaid(3) for _ in range(4)]

    assert looks == [3, 3, 2, 0]
    assert (await market.order(over))["status"] == "expired"
    assert len(await market.orders(status="held")) == len(waiting)
    await jobs.close()


async def test_seats_that_were_never_tried_are_tried_before_their_group_settles(
    engine: GroupEngine, market: Market, jobs: ProcessJobs, gateway: WatchedGateway
) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),), ttl_s=LIFETIME_S)
    quick, slow = await join(engine, market, deal, 2)
    group = await market.group_of(quick)
    await market.pass_deadline(group)
    await pass_time(market, TEN_MINUTES_MS)
    gateway.blocked[slow] = asyncio.Event()

    await engine.advance_due_groups(1)
    await pass_time(market, TEN_MINUTES_MS)
    await engine.advance_due_groups(1)
    assert (await market.group(group))["status"] == "closing", "nobody has tried a payment"
    drain = asyncio.create_task(jobs.run("payments"))
    await gateway.arrived[slow].wait()
    await look(market, jobs, group)
    assert (await market.group(group))["status"] == "closing"
    # Its ten seconds count from the attempt, not from the close.
    await pass_time(market, CLOSING_GRACE_MS - 3_000)
    await market.pool.execute("UPDATE payment_operations SET due_at = app_now() + interval '1 minute'")
    await look(market, jobs, group)
    assert (await market.group(group))["status"] == "closing"
    await pass_time(market, 3_000)
    await market.pool.execute(
        "UPDATE payment_operations SET due_at = app_now() + interval '1 minute' WHERE state = 'in_flight'"
    )

    async def is_settled() -> bool:
        # A pass in the background may be looking at the group as we ask for one.
        await look(market, jobs, group)
        return (await market.group(group))["settled_at"] is not None

    await until(is_settled)
    assert (await market.group(group))["final_headcount"] == 1
    assert (await market.order(slow))["status"] == "expired"
    gateway.blocked[slow].set()
    await drain
    await jobs.close()


async def test_without_a_gateway_a_group_settles_after_workers_watched_it_for_five_minutes(
    engine: GroupEngine, market: Market
) -> None:
    (order,) = await join(engine, market, await market.deal(ttl_s=LIFETIME_S), 1)
    group = await market.group_of(order)
    await market.pass_deadline(group)
    await engine.advance_due_groups(1)

    looks = 0
    while (await market.group(group))["status"] == "closing":
        # Hours in which no worker looked count for no more than one look does.
        await pass_time(market, 3_600_000)
        await engine.advance_due_groups(1)
        looks += 1
        assert looks <= UNTRIED_WATCH_MS / PAYMENTS_LOOK_MAX_MS + 1

    assert looks == UNTRIED_WATCH_MS / PAYMENTS_LOOK_MAX_MS + 1
    assert (await market.order(order))["status"] == "expired"
    assert (await market.group(group))["status"] == "failed"


async def test_through_an_outage_of_the_gateway_orders_wait_and_are_paid_afterwards(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, gateway: WatchedGateway, jobs: ProcessJobs
) -> None:
    orders = await join(engine, market, await market.deal(ttl_s=LIFETIME_S), 9)
    gateway.broken = {order: GatewayUnavailable("down") for order in orders}
    executor = PaymentExecutor(pool, gateway, calls_in_flight_max=1)
    await executor.drain()
    tried = await pool.fetchval("SELECT count(*) FROM payment_operations WHERE attempts > 0")
    assert tried < len(orders), "the circuit opened first"
    await pass_time(market, TEN_MINUTES_MS)

    await jobs.run("expiry")
    assert await statuses(market) == {"held": len(orders)}
    gateway.broken.clear()
    await jobs.run("payments")
    await jobs.close()

    assert await statuses(market) == {"authorised": len(orders)}


async def look(market: Market, jobs: ProcessJobs, group: str) -> None:
    """Lets the lifecycle look at a group now."""
    await market.pool.execute("UPDATE group_progress SET check_at = app_now() WHERE group_id = $1", group)
    await jobs.run("lifecycle")
