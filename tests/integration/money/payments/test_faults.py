"""Whatever dies, hangs or lies, an order's money moves once, and nobody waits for another one's payment."""

import asyncio
from functools import partial

import asyncpg
import pytest

from pintuan.money.payments import operations
from pintuan.money.payments.gateway import (
    AuthoriseCall,
    CaptureCall,
    GatewayTimeout,
    GatewayUnavailable,
    VoidCall,
    idempotency_key_of,
)
from pintuan.money.payments.operations import ATTEMPTS_MAX, KEY_TRUST_MS, PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from tests.integration.money.payments.watching import Progress, WatchedGateway
from tests.poison import make_second_tries_due
from tests.rows import PRICE_MINOR, Rows

pytestmark = pytest.mark.anyio


def authorise_call(order_id: str) -> AuthoriseCall:
    buyer = "buyer-1"
    return AuthoriseCall(
        idempotency_key=idempotency_key_of(order_id, "authorise"),
        reference=order_id,
        payment_method="pm_ok",
        buyer_id=buyer,
        amount_minor=PRICE_MINOR,
        currency="USD",
    )


async def lease(rows: Rows, order_id: str, *, kind: str = "authorise", lasts_s: int) -> None:
    """Leaves the row as a worker does that took it and died."""
    await rows.pool.execute(
        "UPDATE payment_operations SET state = 'in_flight', attempts = attempts + 1,"
        " due_at = app_now() + $3 * interval '1 second' WHERE order_id = $1 AND kind = $2",
        order_id,
        kind,
        lasts_s,
    )


async def test_a_worker_killed_after_the_effect_leaves_one_authorisation(
    rows: Rows, executor: PaymentExecutor
) -> None:
    order = await rows.order(group=await rows.group())
    await lease(rows, order, lasts_s=-1)
    await SandboxGateway(rows.pool).authorise(authorise_call(order))

    await executor.drain()

    assert await rows.status(order) == "authorised"
    books = await rows.one("SELECT count(*) FROM sandbox_gateway.calls WHERE reference = $1", order)
    assert books["count"] == 1


async def test_a_worker_killed_after_a_capture_leaves_one_capture(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order(group=await rows.group())
    await executor.drain()
    await rows.charge(order, price_minor=800)
    await lease(rows, order, kind="capture", lasts_s=-1)
    call = CaptureCall(
        idempotency_key=idempotency_key_of(order, "capture"), reference=order, amount_minor=800
    )
    await SandboxGateway(rows.pool).capture(call)

    await executor.drain()

    assert await rows.status(order) == "captured"
    payment = await gateway.look_up(order)
    assert payment is not None
    assert payment.captured_minor == 800


async def test_a_row_under_somebody_elses_lease_is_left_alone(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order()
    await lease(rows, order, lasts_s=60)

    assert await executor.drain() == 0
    assert gateway.keys == {}


async def test_executors_at_work_at_once_never_send_an_operation_under_two_keys(
    rows: Rows, pool: asyncpg.Pool
) -> None:
    orders = [await rows.order(method="pm_timeout") for _ in range(30)]
    gateways = [WatchedGateway(SandboxGateway(pool)) for _ in range(3)]

    await asyncio.gather(*(PaymentExecutor(pool, gateway).drain() for gateway in gateways))
    await rows.make_due()
    await PaymentExecutor(pool, gateways[0]).drain()

    assert {await rows.status(order) for order in orders} == {"captured"}
    for order in orders:
        keys = {key for gateway in gateways for key in gateway.keys[order]}
        assert keys == {f"{order}:authorise", f"{order}:capture"}
    books = await rows.one(
        "SELECT count(*), count(DISTINCT idempotency_key) AS keys FROM sandbox_gateway.calls"
    )
    assert (books["count"], books["keys"]) == (60, 60)


async def test_a_payment_that_hangs_delays_nobody_else(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, progress: Progress
) -> None:
    poison = await rows.order(group=await rows.group())
    gateway.blocked[poison] = asyncio.Event()
    draining = asyncio.create_task(executor.drain())
    await gateway.arrived[poison].wait()
    for _ in range(3):
        other = await rows.order(group=await rows.group())
        assert await executor.drain() == 0
        await progress.until(partial(rows.has_status, other, "authorised"))

    assert not draining.done()
    assert await rows.status(poison) == "held"
    gateway.blocked[poison].set()
    await draining
    assert await rows.status(poison) == "authorised"


async def test_more_slow_payments_than_a_batch_holds_delay_nobody_else(
    rows: Rows, gateway: WatchedGateway, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "BATCH_SIZE_MAX", 4)
    executor = PaymentExecutor(rows.pool, gateway, on_recorded=progress)
    let_go = asyncio.Event()
    slow = [await rows.order() for _ in range(9)]
    gateway.blocked = dict.fromkeys(slow, let_go)
    quick = [await rows.order() for _ in range(9)]

    draining = asyncio.create_task(executor.drain())
    for order in quick:
        await progress.until(partial(rows.has_status, order, "captured"))

    assert {await rows.status(order) for order in slow} == {"held"}
    let_go.set()
    await draining
    assert {await rows.status(order) for order in slow} == {"captured"}


async def test_no_more_calls_are_made_at_once_than_allowed(rows: Rows, gateway: WatchedGateway) -> None:
    executor = PaymentExecutor(rows.pool, gateway, calls_in_flight_max=2)
    orders = [await rows.order() for _ in range(5)]
    gateway.blocked = {order: asyncio.Event() for order in orders}

    draining = asyncio.create_task(executor.drain())
    for order in orders:
        await gateway.arrived[order].wait()
        gateway.blocked[order].set()
    await draining

    assert gateway.under_way_max == 2
    assert {await rows.status(order) for order in orders} == {"captured"}


async def test_an_order_that_somebody_keeps_locked_delays_only_itself(
    rows: Rows, executor: PaymentExecutor
) -> None:
    locked, free = await rows.order(group=await rows.group()), await rows.order(group=await rows.group())
    database = await rows.pool.fetchval("SELECT current_database()")
    await rows.pool.execute(f"ALTER DATABASE {database} SET lock_timeout = '50ms'")
    await rows.pool.expire_connections()
    async with rows.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM orders WHERE id = $1 FOR UPDATE", locked)
        await executor.drain()

        assert await rows.status(free) == "authorised"
        assert await rows.status(locked) == "held"

    await rows.make_due()
    await make_second_tries_due(rows.pool)
    await executor.drain()
    assert await rows.status(locked) == "authorised"


async def test_a_call_has_a_deadline_after_which_its_outcome_is_unknown(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "CALL_DEADLINE_S", 0.01)
    monkeypatch.setattr(operations, "LINGER_S_MAX", 0.0)
    order = await rows.order()
    gateway.blocked[order] = asyncio.Event()

    await executor.drain()

    assert await rows.operations(order) == {"authorise": "unknown"}
    assert await rows.status(order) == "held"


async def test_a_gateway_with_a_fault_of_its_own_harms_only_the_call_it_failed(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, progress: Progress
) -> None:
    broken, fine = await rows.order(), await rows.order()
    gateway.broken[broken] = ZeroDivisionError("a bug")

    drain = asyncio.create_task(executor.drain())
    await progress.until(partial(rows.has_status, fine, "captured"))
    assert await rows.status(broken) == "held"
    del gateway.broken[broken]
    await rows.make_due()
    await executor.drain()
    await drain

    assert await rows.status(broken) == "captured"


async def test_an_answer_that_cannot_be_recorded_harms_only_its_own_order(
    rows: Rows, executor: PaymentExecutor
) -> None:
    # A constraint the product does not have stands for any that refuses one row of a batch.
    orders = [await rows.order(group=await rows.group(), method="pm_declined") for _ in range(3)]
    await rows.pool.execute(
        f"ALTER TABLE orders ADD CONSTRAINT odd CHECK (id <> '{orders[1]}' OR status = 'held')"
    )

    await executor.drain()

    assert [await rows.status(order) for order in orders] == ["declined", "held", "declined"]
    assert await rows.operations(orders[1]) == {"authorise": "in_flight"}


@pytest.mark.parametrize("error", [GatewayTimeout("lost"), GatewayUnavailable("closed")])
async def test_an_authorisation_given_up_is_looked_up_first(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, error: Exception
) -> None:
    known, unknown = await rows.order(group=await rows.group()), await rows.order(group=await rows.group())
    await gateway.sandbox.authorise(authorise_call(known))
    gateway.broken = {known: error, unknown: error}
    await rows.pool.execute("UPDATE payment_operations SET attempts = $1", ATTEMPTS_MAX - 1)

    await executor.drain()

    assert sorted(gateway.look_ups) == sorted([known, unknown])
    assert (await rows.status(known), await rows.operations(known)) == (
        "authorised",
        {"authorise": "succeeded"},
    )
    # Its hold runs out like any other, and the seat is free for somebody else.
    assert (await rows.status(unknown), await rows.operations(unknown)) == ("held", {"authorise": "failed"})


async def test_an_old_operation_is_looked_up_before_its_key_is_trusted(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order(group=await rows.group())
    await lease(rows, order, lasts_s=-1)
    await gateway.sandbox.authorise(authorise_call(order))
    await rows.pool.execute(
        "UPDATE payment_operations SET created_at = app_now() - $1 * interval '1 millisecond'",
        KEY_TRUST_MS + 1000,
    )

    await executor.drain()

    assert await rows.status(order) == "authorised"
    assert gateway.look_ups == [order]
    assert gateway.keys == {}


async def test_an_operation_ends_captured_or_voided_and_never_both(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order(group=await rows.group())
    await executor.drain()
    await rows.charge(order)
    await rows.operation(order, "void")

    await executor.drain()

    states = await rows.operations(order)
    payment = await gateway.look_up(order)
    assert payment is not None
    assert sorted([states["capture"], states["void"]]) == ["declined", "succeeded"]
    assert payment.status == ("captured" if states["capture"] == "succeeded" else "voided")
    with pytest.raises(asyncpg.UniqueViolationError):
        await rows.pool.execute(
            "UPDATE payment_operations SET state = 'succeeded', escalated_at = NULL"
            " WHERE order_id = $1 AND kind <> 'authorise'",
            order,
        )


async def test_an_answer_that_comes_after_the_end_changes_nothing(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order(group=await rows.group())
    gateway.blocked[order] = asyncio.Event()
    slow = asyncio.create_task(executor.drain())
    await gateway.arrived[order].wait()
    await rows.make_due()
    quick_gateway = WatchedGateway(SandboxGateway(rows.pool))
    await PaymentExecutor(rows.pool, quick_gateway).drain()
    await gateway.sandbox.void(VoidCall(idempotency_key=idempotency_key_of(order, "void"), reference=order))
    before = await rows.operations(order)
    gateway.blocked[order].set()

    assert await slow == 0
    assert await rows.operations(order) == before == {"authorise": "succeeded"}
    assert await rows.status(order) == "authorised"
