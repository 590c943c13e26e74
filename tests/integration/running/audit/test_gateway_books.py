"""The audit asks the gateway about payments, and names those that it remembers otherwise."""

from __future__ import annotations

import asyncpg
import pytest

from pintuan.money.payments.gateway import GatewayUnavailable
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.running.audit.gateway_books import check_gateway_books
from pintuan.running.audit.service import Check
from tests.integration.money.payments.watching import WatchedGateway
from tests.rows import Rows

pytestmark = pytest.mark.anyio


@pytest.fixture
def gateway(pool: asyncpg.Pool) -> WatchedGateway:
    return WatchedGateway(SandboxGateway(pool))


@pytest.fixture
async def orders(pool: asyncpg.Pool, gateway: WatchedGateway) -> list[str]:
    """Three purchases that were captured, the last one authorised last, and one that was declined."""
    rows = await Rows.open(pool)
    executor = PaymentExecutor(pool, gateway, on_recorded=lambda _: None)
    made = []
    for method in ("pm_ok", "pm_ok", "pm_ok", "pm_declined"):
        made.append(await rows.order(method=method))
        await executor.drain()
    return made[:3]


async def look(pool: asyncpg.Pool, gateway: WatchedGateway, *, count_max: int = 10) -> Check:
    return await check_gateway_books(pool, gateway, sandbox=True, count_max=count_max)


async def test_books_that_agree_are_told_to(
    pool: asyncpg.Pool, gateway: WatchedGateway, orders: list[str]
) -> None:
    check = await look(pool, gateway)

    assert check.offenders == []
    assert f"the {len(orders)} payments" in check.about
    assert sorted(gateway.look_ups) == sorted(orders)


@pytest.mark.parametrize(
    ("sabotage", "word"),
    [
        ("captured_minor = captured_minor - 1", "captured, 899 of 900"),
        ("status = 'voided', captured_minor = 0", "theirs: voided"),
        ("currency = 'EUR'", "900 EUR"),
    ],
)
async def test_what_the_gateway_remembers_otherwise_is_named(
    pool: asyncpg.Pool, gateway: WatchedGateway, orders: list[str], sabotage: str, word: str
) -> None:
    await pool.execute(
        f"UPDATE sandbox_gateway.authorisations SET {sabotage} WHERE reference = $1",  # noqa: S608 - our own.
        orders[1],
    )

    (offender,) = (await look(pool, gateway)).offenders
    assert offender.id == orders[1]
    assert word in offender.detail


async def test_a_payment_the_gateway_forgot_is_named(
    pool: asyncpg.Pool, gateway: WatchedGateway, orders: list[str]
) -> None:
    await pool.execute("DELETE FROM sandbox_gateway.authorisations WHERE reference = $1", orders[0])

    (offender,) = (await look(pool, gateway)).offenders
    assert (offender.id, "not there" in offender.detail) == (orders[0], True)


async def test_only_as_many_as_asked_for_are_looked_up_the_newest_first(
    pool: asyncpg.Pool, gateway: WatchedGateway, orders: list[str]
) -> None:
    await look(pool, gateway, count_max=2)
    assert set(gateway.look_ups) == set(orders[1:])


@pytest.mark.usefixtures("orders")
async def test_payments_of_another_gateway_are_left_alone(
    pool: asyncpg.Pool, gateway: WatchedGateway
) -> None:
    check = await check_gateway_books(pool, gateway, sandbox=False, count_max=10)
    assert (check.offenders, gateway.look_ups) == ([], [])


@pytest.mark.usefixtures("orders")
async def test_a_gateway_that_does_not_answer_is_no_difference(
    pool: asyncpg.Pool, gateway: WatchedGateway
) -> None:
    gateway.look_up_error = GatewayUnavailable("away")
    with pytest.raises(GatewayUnavailable):
        await look(pool, gateway)
