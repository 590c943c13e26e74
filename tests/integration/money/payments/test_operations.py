"""Due operations reach the gateway once each, and their answers move orders the one way they may."""

import pytest
from prometheus_client import REGISTRY

from pintuan.money.payments.operations import PaymentExecutor
from tests.integration.money.payments.watching import Progress, WatchedGateway
from tests.rows import Rows

pytestmark = pytest.mark.anyio


def shown(kind: str, state: str) -> float | None:
    return REGISTRY.get_sample_value("pintuan_payments", {"kind": kind, "state": state})


async def test_a_group_order_is_authorised_and_raises_the_headcount(
    rows: Rows, executor: PaymentExecutor
) -> None:
    group = await rows.group()
    order = await rows.order(group=group)

    assert await executor.drain() == 1
    assert await rows.status(order) == "authorised"
    assert await rows.operations(order) == {"authorise": "succeeded"}
    progress = await rows.one("SELECT headcount FROM group_progress WHERE group_id = $1", group)
    assert progress["headcount"] == 1


async def test_operations_that_have_not_ended_are_shown_until_they_have(
    rows: Rows, executor: PaymentExecutor
) -> None:
    for _ in range(3):
        await rows.order(group=await rows.group())

    await executor.sample()
    assert shown("authorise", "due") == 3
    await executor.drain()
    await executor.sample()
    assert (shown("authorise", "due"), shown("authorise", "in_flight")) == (0, 0)


async def test_a_solo_order_is_authorised_and_captured_at_the_promised_price(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order(quantity=3, price_minor=1000)

    assert await executor.drain() == 2
    paid = await rows.one("SELECT status, final_unit_minor FROM orders WHERE id = $1", order)
    assert dict(paid) == {"status": "captured", "final_unit_minor": 1000}
    payment = await gateway.look_up(order)
    assert payment is not None
    assert (payment.status, payment.captured_minor) == ("captured", 3000)


async def test_a_declined_payment_frees_the_seat_the_stock_and_the_limit(
    rows: Rows, executor: PaymentExecutor
) -> None:
    group = await rows.group()
    order = await rows.order(group=group, method="pm_declined", quantity=2)

    await executor.drain()

    assert await rows.status(order) == "declined"
    assert await rows.operations(order) == {"authorise": "declined"}
    release = await rows.one("SELECT retired FROM seat_releases WHERE order_id = $1", order)
    lane = await rows.one("SELECT sold_units FROM lanes WHERE deal_id = $1", rows.deal_id)
    buyer = await rows.one("SELECT units FROM deal_buyers WHERE deal_id = $1", rows.deal_id)
    assert (release["retired"], lane["sold_units"], buyer["units"]) == (False, 0, 0)


async def test_a_lost_answer_is_asked_for_again_under_the_same_key(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order(group=await rows.group(), method="pm_timeout")

    await executor.drain()

    assert await rows.status(order) == "authorised"
    assert gateway.keys[order] == [f"{order}:authorise"] * 2
    books = await rows.one("SELECT count(*) FROM sandbox_gateway.calls WHERE reference = $1", order)
    assert books["count"] == 1


async def test_a_lost_capture_is_taken_once(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order(group=await rows.group(), method="pm_capture_timeout")
    await executor.drain()
    await rows.charge(order, price_minor=800)

    await executor.drain()

    assert await rows.status(order) == "captured"
    assert gateway.keys[order] == [f"{order}:authorise", f"{order}:capture", f"{order}:capture"]
    payment = await gateway.look_up(order)
    assert payment is not None
    assert payment.captured_minor == 800


async def test_a_capture_that_fails_ends_the_order_and_lets_the_hold_go(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order(group=await rows.group(), method="pm_capture_fails")
    await executor.drain()
    await rows.charge(order)

    await executor.drain()

    assert await rows.status(order) == "payment_failed"
    assert await rows.operations(order) == {
        "authorise": "succeeded",
        "capture": "declined",
        "void": "succeeded",
    }
    payment = await gateway.look_up(order)
    assert payment is not None
    assert payment.status == "voided"


@pytest.mark.parametrize("method", ["pm_ok", "pm_void_timeout"])
@pytest.mark.parametrize("fate", ["expired", "cancelled"])
async def test_an_authorisation_that_comes_too_late_is_voided(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, fate: str, method: str
) -> None:
    order = await rows.order(group=await rows.group(), method=method)
    # The first attempt reached the gateway, and its process died before it could say so.
    await rows.pool.execute(
        "UPDATE payment_operations SET state = 'in_flight', attempts = 1 WHERE order_id = $1", order
    )
    await rows.move(order, fate)

    await executor.drain()

    assert await rows.status(order) == fate
    assert await rows.operations(order) == {"authorise": "succeeded", "void": "succeeded"}
    payment = await gateway.look_up(order)
    assert payment is not None
    assert payment.status == "voided"


async def test_an_order_that_died_before_the_first_attempt_is_never_sent(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order(group=await rows.group())
    await rows.move(order, "expired")

    await executor.drain()

    operation = await rows.one("SELECT state, failure FROM payment_operations WHERE order_id = $1", order)
    assert dict(operation) == {"state": "failed", "failure": "order was expired before the first attempt"}
    assert gateway.keys == {}


async def test_everything_due_is_drained_whatever_its_number(rows: Rows, executor: PaymentExecutor) -> None:
    methods = ["pm_ok", "pm_declined", "pm_timeout"]
    orders = [await rows.order(method=methods[number % 3]) for number in range(60)]

    await executor.drain()

    assert {await rows.status(order) for order in orders[1::3]} == {"declined"}
    assert {await rows.status(order) for order in orders[::3] + orders[2::3]} == {"captured"}


async def test_who_listens_learns_what_was_recorded(
    rows: Rows, executor: PaymentExecutor, progress: Progress
) -> None:
    await rows.order(group=await rows.group())
    await rows.order(group=await rows.group(), method="pm_declined")

    await executor.drain()

    total = progress.total
    assert (total.operations, total.orders_moved, total.seats_ended) == (2, 2, 1)


async def test_what_is_not_due_yet_is_left_alone(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order()
    await rows.pool.execute("UPDATE payment_operations SET due_at = app_now() + interval '1 hour'")

    assert await executor.drain() == 0
    assert await rows.status(order) == "held"
    assert gateway.keys == {}


async def test_a_stopped_executor_takes_nothing_more(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    await rows.order()
    executor.stop()

    assert await executor.drain() == 0
    assert gateway.keys == {}
