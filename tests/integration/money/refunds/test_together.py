"""Refunds beside one another, and beside a buyer who is being forgotten."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from groups.engine import GroupEngine
from pintuan.base.errors import InvalidInput
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.money.refunds.errors import NotRefundable
from pintuan.money.refunds.schemas import NewRefund
from pintuan.money.refunds.service import ask_refund
from pintuan.people.personal.erasures import insert_erasure
from tests.erasing import Eraser
from tests.market import digest
from tests.rows import Rows

pytestmark = pytest.mark.anyio

MERCHANT = "acme"
NAMED = "Ann Lee sent it back"


@pytest.fixture
async def rows(pool: asyncpg.Pool) -> Rows:
    return await Rows.open(pool)


@pytest.fixture
def executor(pool: asyncpg.Pool) -> PaymentExecutor:
    return PaymentExecutor(pool, SandboxGateway(pool))


async def paid(rows: Rows, executor: PaymentExecutor) -> str:
    """A purchase of 900."""
    order = await rows.order()
    await executor.drain()
    return order


async def refund(rows: Rows, order: str, amount: int | None, key: object, *, reason: str = NAMED) -> bool:
    return await ask_refund(
        rows.pool,
        order,
        NewRefund(amount=amount, reason=reason),
        merchant_id=MERCHANT,
        asked_by=MERCHANT,
        request_id=digest(order, key),
        body_digest=digest(amount),
    )


async def test_refunds_asked_for_at_once_stay_within_the_charge(
    rows: Rows, executor: PaymentExecutor
) -> None:
    order = await paid(rows, executor)

    asked = await asyncio.gather(
        *(refund(rows, order, 200, number) for number in range(8)), return_exceptions=True
    )

    assert asked.count(True) == 4
    assert all(isinstance(one, InvalidInput) for one in asked if one is not True)
    await executor.drain()
    books = await rows.one("SELECT captured_minor, refunded_minor FROM sandbox_gateway.authorisations")
    assert tuple(books) == (900, 800)
    numbers = await rows.pool.fetchval("SELECT array_agg(refund_no ORDER BY refund_no) FROM refunds")
    assert numbers == [1, 2, 3, 4]


async def test_a_call_that_is_sent_several_times_at_once_asks_once(
    rows: Rows, executor: PaymentExecutor
) -> None:
    order = await paid(rows, executor)

    asked = await asyncio.gather(*(refund(rows, order, None, "return-17") for _ in range(6)))

    assert asked.count(True) == 1
    with pytest.raises(NotRefundable):
        await refund(rows, order, None, "another")


async def test_a_buyer_is_forgotten_once_their_refund_was_made(
    rows: Rows, executor: PaymentExecutor, engine: GroupEngine
) -> None:
    order = await paid(rows, executor)
    buyer: str = await rows.pool.fetchval("SELECT buyer_id FROM orders")
    await refund(rows, order, 400, "first")
    async with rows.pool.acquire() as connection:
        await insert_erasure(connection, buyer)
    eraser = Eraser(rows.pool, engine)

    await eraser.scrub(buyer, rows_max=10)
    assert await rows.pool.fetchval("SELECT buyer_id FROM orders") == buyer
    assert await rows.pool.fetchval("SELECT reason FROM refunds") == NAMED

    await executor.drain()
    await eraser.scrub(buyer, rows_max=10)
    kept = await rows.one("SELECT buyer_id, payment_method, status FROM orders")
    assert kept["buyer_id"].startswith("erased_")
    assert (kept["payment_method"], kept["status"]) == ("erased", "partially_refunded")
    assert await rows.pool.fetchval("SELECT reason FROM refunds") == "erased"


async def test_what_was_bought_by_somebody_forgotten_can_be_given_back(
    rows: Rows, executor: PaymentExecutor, engine: GroupEngine
) -> None:
    order = await paid(rows, executor)
    buyer: str = await rows.pool.fetchval("SELECT buyer_id FROM orders")
    async with rows.pool.acquire() as connection:
        await insert_erasure(connection, buyer)
    await Eraser(rows.pool, engine).scrub(buyer, rows_max=10)

    assert await refund(rows, order, None, "later")
    await executor.drain()

    assert await rows.status(order) == "refunded"
    books = await rows.one("SELECT captured_minor, refunded_minor FROM sandbox_gateway.authorisations")
    assert tuple(books) == (900, 900)
