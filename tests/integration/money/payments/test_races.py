"""Two sides of one payment meet in Postgres, and each order's money still moves once."""

import asyncio

import pytest

from groups.engine import open_engine
from pintuan.money.payments import operations
from pintuan.money.payments.escalation import list_escalated
from pintuan.money.payments.gateway import GatewayTimeout, GatewayUnavailable, Succeeded
from pintuan.money.payments.operations import ATTEMPTS_MAX, PaymentExecutor
from pintuan.money.payments.recording import Finished, record
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.money.payments.store import claim_due
from pintuan.money.refunds.errors import NotRefundable
from tests.integration.money.payments.test_books import balances, captured, refund
from tests.integration.money.payments.watching import WatchedGateway
from tests.interleaving import LOCK_ORDER, holding, outcomes_of
from tests.market import Market
from tests.rows import Rows
from tests.waiting import until

pytestmark = pytest.mark.anyio

MEMBERS = 120


async def charged(rows: Rows, executor: PaymentExecutor, *, method: str = "pm_ok") -> str:
    order = await rows.order(group=await rows.group(), method=method)
    await executor.drain()
    await rows.charge(order)
    return order


async def both_ask(rows: Rows, order: str) -> tuple[list[WatchedGateway], list[asyncio.Task[int]]]:
    """Two executors whose calls about the order are under way: the first one's lease ran out."""
    gateways = [WatchedGateway(SandboxGateway(rows.pool)) for _ in range(2)]
    drains = []
    for gateway in gateways:
        gateway.blocked[order] = asyncio.Event()
        drains.append(asyncio.create_task(PaymentExecutor(rows.pool, gateway).drain()))
        await gateway.arrived[order].wait()
        await rows.make_due()
        await rows.pool.execute(
            "UPDATE payment_operations SET due_at = app_now() + interval '1 minute' WHERE attempts = 2"
        )
    return gateways, drains


@pytest.mark.parametrize("paid_first", [True, False])
async def test_a_payment_and_the_end_of_its_hold_meet(
    rows: Rows,
    executor: PaymentExecutor,
    gateway: WatchedGateway,
    database_url: str,
    redis_url: str,
    paid_first: bool,
) -> None:
    order = await rows.order(group=await rows.group())
    market = Market(rows.pool)
    async with open_engine(rows.pool, redis_url, rates=None) as engine:
        buyer = "SELECT FROM deal_buyers FOR UPDATE"
        if paid_first:
            await rows.pool.execute("UPDATE orders SET hold_until = app_now()")
            async with holding(database_url, "SELECT FROM group_progress FOR UPDATE") as progress:
                pays = asyncio.create_task(executor.drain())
                await progress.waiters(1)
                assert await engine.expire_unpaid(10) == 0, "the payment has the order"
                await progress.commit()
                await pays
            await engine.expire_unpaid(10)
        else:
            await market.pass_hold(order)
            async with holding(database_url, buyer) as holder:
                expires = asyncio.create_task(engine.expire_unpaid(10))
                await holder.waiters(1)
                await rows.make_due()
                pays = asyncio.create_task(executor.drain())
                await holder.waiters(2)
                await holder.commit()
                await asyncio.gather(expires, pays)
            await executor.drain()

    payment = await gateway.look_up(order)
    assert payment is not None
    expected = ("authorised", "authorised") if paid_first else ("expired", "voided")
    assert (await rows.status(order), payment.status) == expected


async def test_two_answers_to_one_operation_count_once(rows: Rows, executor: PaymentExecutor) -> None:
    order = await charged(rows, executor)
    gateways, drains = await both_ask(rows, order)

    for gateway in gateways:
        gateway.blocked[order].set()
    counts = await asyncio.gather(*drains)

    assert sorted(counts) == [0, 1]
    assert await rows.status(order) == "captured"
    assert await balances(rows) == {"gateway_clearing": 900, "merchant_payable": -900}
    assert {key for gateway in gateways for key in gateway.keys[order]} == {f"{order}:capture"}


async def test_two_answers_to_one_refund_give_it_back_once(rows: Rows, executor: PaymentExecutor) -> None:
    order = await captured(rows, executor)
    await refund(rows, order, 400)
    gateways, drains = await both_ask(rows, order)

    for gateway in gateways:
        gateway.blocked[order].set()
    assert sorted(await asyncio.gather(*drains)) == [0, 1]

    row = await rows.one("SELECT refunded_minor, refund_asked_minor, status FROM orders WHERE id = $1", order)
    assert tuple(row) == (400, 400, "partially_refunded")
    assert await rows.pool.fetchval("SELECT refunded_minor FROM sandbox_gateway.authorisations") == 400


async def test_a_worker_that_wakes_without_an_answer_leaves_the_next_ones_claim_alone(
    rows: Rows, executor: PaymentExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "LINGER_S_MAX", -1.0)
    order = await charged(rows, executor)
    (paused, next_one), (wakes, works) = await both_ask(rows, order)
    paused.broken[order] = GatewayTimeout("lost")

    paused.blocked[order].set()
    await wakes
    assert (await rows.operations(order))["capture"] == "in_flight", "the second executor has it"
    next_one.blocked[order].set()
    await works
    assert await rows.status(order) == "captured"


async def test_an_answer_that_comes_after_the_escalation_ends_it(
    rows: Rows, executor: PaymentExecutor
) -> None:
    order = await charged(rows, executor)
    (slow, last), (answers, gives_up) = await both_ask(rows, order)
    last.broken[order] = GatewayTimeout("lost")
    last.look_up_error = GatewayUnavailable("closed")
    # The second executor has taken what is now its last attempt.
    last.blocked[order].set()
    await gives_up
    await rows.pool.execute(
        "UPDATE payment_operations SET attempts = $2, due_at = app_now()"
        " WHERE order_id = $1 AND kind = 'capture'",
        order,
        ATTEMPTS_MAX - 1,
    )
    await PaymentExecutor(rows.pool, last).drain()
    assert (await rows.operations(order))["capture"] == "failed"

    slow.blocked[order].set()
    assert await answers == 1

    assert await rows.status(order) == "captured"
    assert await rows.operations(order) == {"authorise": "succeeded", "capture": "succeeded"}
    assert await balances(rows) == {"gateway_clearing": 900, "merchant_payable": -900}
    assert await list_escalated(rows.pool, count_max=1) == []


async def test_a_call_that_ends_without_an_answer_after_the_escalation_changes_nothing(
    rows: Rows, executor: PaymentExecutor
) -> None:
    order = await charged(rows, executor)
    (slow, last), (ends, gives_up) = await both_ask(rows, order)
    slow.broken[order] = GatewayTimeout("lost")
    last.blocked[order].set()
    await rows.pool.execute(
        "UPDATE payment_operations SET state = 'failed', escalated_at = app_now(), ended_at = app_now()"
        " WHERE order_id = $1 AND kind = 'capture'",
        order,
    )
    slow.blocked[order].set()

    assert await ends == 0
    assert await gives_up == 1, "this one was answered"
    assert await rows.status(order) == "captured"


async def test_of_two_refunds_at_once_only_what_was_captured_is_asked_back(
    rows: Rows, executor: PaymentExecutor, database_url: str
) -> None:
    order = await captured(rows, executor)
    async with holding(database_url, LOCK_ORDER, order) as holder:
        asked = asyncio.gather(
            *(outcome for outcome in [outcomes_of([refund(rows, order, None, key=key)]) for key in "ab"])
        )
        await holder.waiters(2)
        await holder.commit()
        (first,), (second,) = await asked

    assert {type(first), type(second)} == {bool, NotRefundable}
    await executor.drain()
    assert await rows.status(order) == "refunded"
    assert await balances(rows) == {}


async def test_two_refunds_of_an_order_that_are_answered_at_once_add_up(
    rows: Rows, executor: PaymentExecutor
) -> None:
    order = await captured(rows, executor)
    await refund(rows, order, 400)
    await refund(rows, order, 500)
    claims = await claim_due(rows.pool, count_max=10, lease_ms=60_000)

    await record(rows.pool, [Finished(claim, Succeeded("ref")) for claim in claims])

    row = await rows.one("SELECT refunded_minor, status FROM orders WHERE id = $1", order)
    assert tuple(row) == (900, "refunded")
    assert await balances(rows) == {}


async def test_a_refund_that_waits_for_a_capture_that_fails_is_refused(
    rows: Rows, executor: PaymentExecutor, database_url: str
) -> None:
    order = await charged(rows, executor, method="pm_capture_fails")
    async with holding(database_url, LOCK_ORDER, order) as holder:
        fails = asyncio.create_task(executor.drain())
        await holder.waiters(1)
        asks = asyncio.create_task(refund(rows, order, key="one"))
        await holder.waiters(2)
        await holder.commit()
        with pytest.raises(NotRefundable):
            await asks
        await fails
    await executor.drain()

    assert await rows.status(order) == "payment_failed"
    assert await rows.operations(order) == {
        "authorise": "succeeded",
        "capture": "declined",
        "void": "succeeded",
    }
    assert await balances(rows) == {}


async def test_a_stop_lets_calls_end_and_be_recorded_and_leaves_the_rest_to_the_others(
    rows: Rows, gateway: WatchedGateway
) -> None:
    executor = PaymentExecutor(rows.pool, gateway, calls_in_flight_max=1)
    first = await rows.order(group=await rows.group())
    await rows.pool.execute("UPDATE payment_operations SET due_at = due_at - interval '1 second'")
    second = await rows.order(group=await rows.group())
    gateway.blocked[first] = asyncio.Event()
    drain = asyncio.create_task(executor.drain())
    await gateway.arrived[first].wait()

    executor.stop()
    gateway.blocked[first].set()
    assert await drain == 1

    assert (await rows.status(first), await rows.status(second)) == ("authorised", "held")
    assert await rows.operations(second) == {"authorise": "due"}
    await PaymentExecutor(rows.pool, gateway).drain()
    assert await rows.status(second) == "authorised"


async def test_a_settlement_of_hundreds_runs_side_by_side_and_poison_in_it_delays_nobody(
    rows: Rows, gateway: WatchedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "LINGER_S_MAX", -1.0)
    executor = PaymentExecutor(rows.pool, gateway)
    orders = [await rows.order(group=await rows.group()) for _ in range(MEMBERS)]
    await executor.drain()
    await rows.charge(*orders)
    crashing, hanging, refused = orders[0], orders[1], orders[2]
    gateway.broken[crashing] = ZeroDivisionError("a bug")
    gateway.blocked[hanging] = asyncio.Event()
    # A constraint the product does not have stands for any that refuses one row of a batch.
    await rows.pool.execute(
        f"ALTER TABLE orders ADD CONSTRAINT odd CHECK (id <> '{refused}' OR status = 'authorised')"
    )

    drain = asyncio.create_task(executor.drain())
    await until(lambda: all_have(rows, orders[3:], "captured"))

    assert not drain.done()
    assert {await rows.status(order) for order in orders[:3]} == {"authorised"}
    assert gateway.under_way_max > MEMBERS // 2
    gateway.broken.clear()
    gateway.blocked[hanging].set()
    await rows.pool.execute("ALTER TABLE orders DROP CONSTRAINT odd")
    await drain
    await rows.make_due()
    await executor.drain()
    assert await all_have(rows, orders, "captured")


async def all_have(rows: Rows, orders: list[str], status: str) -> bool:
    count: int = await rows.pool.fetchval(
        "SELECT count(*) FROM orders WHERE id = ANY ($1::text[]) AND status = $2", orders, status
    )
    return count == len(orders)
