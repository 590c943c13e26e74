"""What orders and refunds do to the ledger, and what the ledger refuses."""

import asyncpg
import pytest

from pintuan.base.errors import InvalidInput, NotFound
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.refunds.errors import NotRefundable
from pintuan.money.refunds.schemas import NewRefund
from pintuan.money.refunds.service import ask_refund
from pricing.fee import platform_fee
from tests.market import digest
from tests.rows import Rows

pytestmark = pytest.mark.anyio

MERCHANT = "acme"


async def set_fee(rows: Rows, fee_bps: int) -> None:
    await rows.pool.execute("UPDATE merchants SET fee_bps = $1 WHERE id = $2", fee_bps, MERCHANT)


async def balances(rows: Rows) -> dict[str, int]:
    """Every account that is not even."""
    kept = await rows.pool.fetch("SELECT account, balance_minor FROM ledger_balances")
    summed = await rows.pool.fetch("SELECT account, sum(amount_minor) FROM ledger_postings GROUP BY account")
    by_account = {row["account"]: row["balance_minor"] for row in kept}
    assert by_account == {row["account"]: row["sum"] for row in summed}, (
        "balances are the sums of their postings"
    )
    assert sum(by_account.values()) == 0
    return {account: balance for account, balance in by_account.items() if balance}


async def captured(rows: Rows, executor: PaymentExecutor, *, method: str = "pm_ok", quantity: int = 1) -> str:
    """A solo purchase that was paid for, 900 a unit."""
    order = await rows.order(method=method, quantity=quantity)
    await executor.drain()
    assert await rows.status(order) == "captured"
    return order


async def refund(
    rows: Rows, order: str, amount: int | None = None, *, key: str = "", by: str = MERCHANT
) -> bool:
    wish = NewRefund(amount=amount, reason="arrived damaged")
    return await ask_refund(
        rows.pool,
        order,
        wish,
        merchant_id=by,
        asked_by=by,
        request_id=digest(order, key or await rows.pool.fetchval("SELECT count(*) FROM refunds")),
        body_digest=digest(amount),
    )


async def test_a_purchase_that_was_captured_is_owed_to_the_merchant_less_the_fee(
    rows: Rows, executor: PaymentExecutor
) -> None:
    await set_fee(rows, 333)
    await captured(rows, executor, quantity=2)

    assert await balances(rows) == {
        "gateway_clearing": 1800,
        "merchant_payable": -(1800 - 59),
        "platform_fee": -59,
    }


async def test_a_charge_that_is_fixed_and_not_captured_is_owed_by_the_buyer(
    rows: Rows, executor: PaymentExecutor
) -> None:
    order = await rows.order(group=await rows.group())
    await executor.drain()
    assert await balances(rows) == {}

    await rows.charge(order, price_minor=800)
    assert await balances(rows) == {"buyer_receivable": 800, "merchant_payable": -800}

    await executor.drain()
    assert await balances(rows) == {"gateway_clearing": 800, "merchant_payable": -800}


async def test_a_capture_that_finally_fails_is_written_off_at_the_merchants_expense(
    rows: Rows, executor: PaymentExecutor
) -> None:
    await set_fee(rows, 500)
    order = await rows.order(group=await rows.group(), method="pm_capture_fails")
    await executor.drain()
    await rows.charge(order)

    await executor.drain()

    assert await rows.status(order) == "payment_failed"
    assert await balances(rows) == {}
    assert await rows.pool.fetchval("SELECT count(*) FROM ledger_postings WHERE kind = 'write_off'") == 4


async def test_refunds_in_parts_end_with_everything_given_back_the_fee_included(
    rows: Rows, executor: PaymentExecutor
) -> None:
    await set_fee(rows, 333)
    order = await captured(rows, executor)

    assert await refund(rows, order, 300)
    assert (await balances(rows))["refunds"] == -300
    await executor.drain()
    assert await rows.status(order) == "partially_refunded"
    assert await balances(rows) == {
        "gateway_clearing": 600,
        "merchant_payable": -(600 - 20),
        "platform_fee": -20,
    }

    assert await refund(rows, order, 299)
    assert await refund(rows, order)
    await executor.drain()

    assert await rows.status(order) == "refunded"
    assert await balances(rows) == {}
    books = await rows.one("SELECT captured_minor, refunded_minor FROM sandbox_gateway.authorisations")
    assert (books["captured_minor"], books["refunded_minor"]) == (900, 900)


async def test_a_refund_the_bank_refuses_may_be_asked_for_again(
    rows: Rows, executor: PaymentExecutor
) -> None:
    await set_fee(rows, 333)
    order = await captured(rows, executor, method="pm_refund_fails")
    before = await balances(rows)
    await refund(rows, order)
    await executor.drain()

    assert await rows.status(order) == "captured"
    assert await balances(rows) == before
    assert await refund(rows, order, 900)


async def test_a_refund_whose_answer_is_lost_is_made_once(rows: Rows, executor: PaymentExecutor) -> None:
    order = await captured(rows, executor, method="pm_refund_timeout")
    await refund(rows, order, 400)
    await executor.drain()
    await rows.make_due()
    await executor.drain()

    assert await rows.status(order) == "partially_refunded"
    assert await rows.pool.fetchval("SELECT refunded_minor FROM sandbox_gateway.authorisations") == 400


async def test_never_more_is_asked_back_than_was_captured(rows: Rows, executor: PaymentExecutor) -> None:
    order = await captured(rows, executor)
    await refund(rows, order, 600)

    with pytest.raises(InvalidInput, match="from 1 to 300"):
        await refund(rows, order, 301)
    await refund(rows, order)
    with pytest.raises(NotRefundable, match="asked back already"):
        await refund(rows, order)


async def test_the_same_key_asks_once(rows: Rows, executor: PaymentExecutor) -> None:
    order = await captured(rows, executor)

    assert await refund(rows, order, 100, key="once")
    assert not await refund(rows, order, 100, key="once")

    assert await rows.pool.fetchval("SELECT refund_asked_minor FROM orders") == 100


async def test_an_order_that_is_not_paid_for_or_somebody_elses_has_no_refund(
    rows: Rows, executor: PaymentExecutor
) -> None:
    with pytest.raises(NotRefundable, match="held"):
        await refund(rows, await rows.order())
    with pytest.raises(NotFound):
        await refund(rows, await captured(rows, executor), by="somebody else")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_postings SET amount_minor = amount_minor + 1",
        "DELETE FROM ledger_postings",
        "TRUNCATE ledger_postings",
    ],
)
async def test_a_posting_stays_as_it_was_written(
    rows: Rows, executor: PaymentExecutor, statement: str
) -> None:
    await captured(rows, executor)

    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await rows.pool.execute(statement)
    assert refused.value.constraint_name == "ledger_append_only"


@pytest.mark.parametrize(
    "lines",
    [
        [(1, "merchant_payable", 5, "USD", MERCHANT)],
        [(1, "merchant_payable", 5, "USD", MERCHANT), (2, "refunds", -4, "USD", MERCHANT)],
        [(1, "merchant_payable", 5, "USD", MERCHANT), (2, "refunds", -5, "EUR", MERCHANT)],
        [(1, "merchant_payable", 5, "USD", MERCHANT), (2, "refunds", -5, "USD", "other")],
    ],
)
async def test_what_does_not_add_up_in_one_currency_is_no_transaction(
    rows: Rows, lines: list[tuple[int, str, int, str, str]]
) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await rows.pool.execute(
            "INSERT INTO ledger_postings"
            " (order_id, kind, line_no, account, amount_minor, currency, merchant_id)"
            " SELECT 'ord_x', 'sale', *"
            " FROM unnest($1::smallint[], $2::text[], $3::bigint[], $4::text[], $5::text[])",
            *map(list, zip(*lines, strict=True)),
        )
    assert refused.value.constraint_name == "ledger_balanced"


async def test_the_databases_fee_is_the_one_that_pricing_defines(rows: Rows) -> None:
    for amount_minor in (0, 1, 59, 9_999, 10_000, 10_001, 123_456_789, 10**18):
        for fee_bps in (0, 1, 333, 5_000, 9_999, 10_000):
            assert await rows.pool.fetchval(
                "SELECT platform_fee($1, $2)", amount_minor, fee_bps
            ) == platform_fee(amount_minor, fee_bps)
