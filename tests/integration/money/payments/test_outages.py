"""While the gateway is away what is due waits without losing attempts, and goes on when it is back."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from pintuan.money.payments import circuit as circuits
from pintuan.money.payments import operations
from pintuan.money.payments.circuit import FAILURES_IN_A_ROW, Circuit
from pintuan.money.payments.gateway import GatewayTimeout, GatewayUnavailable, KeyMisused
from pintuan.money.payments.operations import PaymentExecutor
from tests.integration.money.payments.watching import WatchedGateway
from tests.rows import Rows

pytestmark = pytest.mark.anyio

ORDERS = 40


@pytest.fixture(autouse=True)
def _no_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain ends when nothing may be taken, as it does when the next probe is further away."""
    monkeypatch.setattr(operations, "LINGER_S_MAX", -1.0)


def is_open() -> float | None:
    return REGISTRY.get_sample_value("pintuan_gateway_circuit_open")


async def attempts(rows: Rows) -> int:
    count: int = await rows.pool.fetchval("SELECT sum(attempts) FROM payment_operations")
    return count


@pytest.mark.parametrize("error", [GatewayUnavailable("closed"), GatewayTimeout("lost")])
async def test_an_outage_costs_no_attempts_and_everything_goes_on_after_it(
    rows: Rows, gateway: WatchedGateway, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuits, "FIRST_PAUSE_S", 3600.0)
    executor = PaymentExecutor(rows.pool, gateway, calls_in_flight_max=FAILURES_IN_A_ROW)
    orders = [await rows.order(group=await rows.group()) for _ in range(ORDERS)]
    gateway.broken = dict.fromkeys(orders, error)

    for _ in range(10):
        await executor.drain()
        await rows.make_due()

    assert await attempts(rows) == FAILURES_IN_A_ROW
    assert is_open() == 1
    later = PaymentExecutor(rows.pool, gateway)
    gateway.broken.clear()
    await later.drain()
    assert {await rows.status(order) for order in orders} == {"authorised"}


async def test_a_probe_that_is_answered_lets_all_the_others_go(rows: Rows, gateway: WatchedGateway) -> None:
    now_s = 0.0
    states: list[circuits.State] = []
    circuit = Circuit(on_change=states.append, read_time_s=lambda: now_s)
    executor = PaymentExecutor(rows.pool, gateway, calls_in_flight_max=FAILURES_IN_A_ROW, circuit=circuit)
    orders = [await rows.order(group=await rows.group()) for _ in range(ORDERS)]
    gateway.broken = dict.fromkeys(orders, GatewayUnavailable("closed"))
    await executor.drain()
    assert await attempts(rows) == FAILURES_IN_A_ROW

    await rows.make_due()
    now_s += circuit.wait_s() or 0
    await executor.drain()
    assert await attempts(rows) == FAILURES_IN_A_ROW + 1, "one probe"
    gateway.broken.clear()
    await rows.make_due()
    await executor.drain()
    assert await attempts(rows) == FAILURES_IN_A_ROW + 1, "not before the next pause is over"
    now_s += circuit.wait_s() or 0
    await executor.drain()

    assert {await rows.status(order) for order in orders} == {"authorised"}
    assert states == ["open", "closed"]


async def test_a_probe_that_was_cut_off_gives_way_to_the_next(rows: Rows, gateway: WatchedGateway) -> None:
    now_s = 0.0
    circuit = Circuit(read_time_s=lambda: now_s)
    executor = PaymentExecutor(rows.pool, gateway, calls_in_flight_max=FAILURES_IN_A_ROW, circuit=circuit)
    orders = [await rows.order(group=await rows.group()) for _ in range(FAILURES_IN_A_ROW + 1)]
    gateway.broken = dict.fromkeys(orders, GatewayUnavailable("closed"))
    await executor.drain()
    now_s += circuit.wait_s() or 0
    gateway.broken.clear()
    gateway.blocked = {order: asyncio.Event() for order in orders}
    drain = asyncio.create_task(executor.drain())
    await asyncio.wait({asyncio.create_task(gateway.arrived[order].wait()) for order in orders[-1:]})
    drain.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drain

    for event in gateway.blocked.values():
        event.set()
    await rows.make_due()
    await executor.drain()
    assert {await rows.status(order) for order in orders} == {"authorised"}


async def test_a_gateway_that_says_nothing_within_the_deadline_is_away(
    rows: Rows, gateway: WatchedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "CALL_DEADLINE_S", 0.01)
    executor = PaymentExecutor(rows.pool, gateway)
    orders = [await rows.order(group=await rows.group()) for _ in range(FAILURES_IN_A_ROW)]
    gateway.blocked = {order: asyncio.Event() for order in orders}

    await executor.drain()

    assert is_open() == 1
    assert {(await rows.operations(order))["authorise"] for order in orders} == {"unknown"}


async def test_an_answer_about_a_misused_key_is_an_answer(rows: Rows, gateway: WatchedGateway) -> None:
    executor = PaymentExecutor(rows.pool, gateway)
    orders = [await rows.order(group=await rows.group()) for _ in range(FAILURES_IN_A_ROW * 2)]
    gateway.broken = {order: KeyMisused(order) for order in orders}

    await executor.drain()

    assert is_open() == 0
    assert {(await rows.operations(order))["authorise"] for order in orders} == {"unknown"}


async def test_a_fault_of_the_gateways_client_says_nothing_about_the_gateway(
    rows: Rows, gateway: WatchedGateway
) -> None:
    executor = PaymentExecutor(rows.pool, gateway)
    poison = [await rows.order(group=await rows.group()) for _ in range(FAILURES_IN_A_ROW * 2)]
    gateway.broken = {order: ZeroDivisionError("a bug") for order in poison}
    await executor.drain()
    fine = await rows.order(group=await rows.group())

    await executor.drain()

    assert is_open() == 0
    assert await rows.status(fine) == "authorised"
