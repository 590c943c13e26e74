"""What reading the books costs does not grow with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
import pytest

from pintuan.money.ledger.store import LEDGER

pytestmark = pytest.mark.anyio

SALES = 50_000
PAGE_SIZE = 1_000
# Each row of a page may be in a block of its own; this is for finding them, far less than the whole index.
INDEX_BLOCKS_MAX = 60
# Merchants' names, with the share of the sales that are theirs: every fiftieth is the small one's.
LARGE, SMALL = "large", "small"
BEGIN, END = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)

FILL = """
INSERT INTO ledger_postings (
    order_id, kind, line_no, account, merchant_id, amount_minor, currency, created_at
)
SELECT format('ord_%s', n), 'sale', l.line_no, l.account, CASE n % 50 WHEN 0 THEN $1 ELSE $2 END,
    l.sign * 900, CASE n % 3 WHEN 0 THEN 'EUR' ELSE 'USD' END,
    timestamptz '2030-01-01 00:00:00Z' + n * interval '1 second'
FROM generate_series(1, $3::integer) AS n
CROSS JOIN (VALUES (1, 'buyer_receivable', 1), (2, 'merchant_payable', -1)) AS l (line_no, account, sign)
"""


@pytest.fixture
async def books(pool: asyncpg.Pool) -> asyncpg.Pool:
    """A hundred thousand postings."""
    await pool.execute(FILL, SMALL, LARGE, SALES)
    await pool.execute("VACUUM ANALYZE ledger_postings, ledger_balances")
    return pool


async def steps_of(pool: asyncpg.Pool, name: str, *arguments: Any) -> list[dict[str, Any]]:
    """The steps of the plan of a statement as it was carried out."""
    told = await pool.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {LEDGER[name]}", *arguments)
    (explained,) = msgspec.json.decode(told)

    def below(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield step
        for inner in step.get("Plans", ()):
            yield from below(inner)

    return list(below(explained["Plan"]))


def rows_read(steps: list[dict[str, Any]]) -> int:
    return sum(
        step["Actual Rows"] + step.get("Rows Removed by Filter", 0)
        for step in steps
        if "Relation Name" in step
    )


@pytest.mark.parametrize("merchant", [LARGE, SMALL])
async def test_a_page_of_a_statement_reads_as_much_as_it_shows_wherever_it_begins(
    books: asyncpg.Pool, merchant: str
) -> None:
    begin = (BEGIN, "", "", 0, 0)
    behind = await books.fetchrow(
        "SELECT created_at, order_id, kind, operation_no::int, line_no::int FROM ledger_postings"
        " WHERE merchant_id = $1 AND account = 'merchant_payable'"
        " ORDER BY created_at OFFSET (SELECT count(*) / 2 FROM ledger_postings"
        " WHERE merchant_id = $1 AND account = 'merchant_payable') LIMIT 1",
        merchant,
    )
    assert behind is not None
    for after in (begin, tuple(behind)):
        steps = await steps_of(books, "statement_page", merchant, BEGIN, END, *after, PAGE_SIZE)
        assert [step["Index Name"] for step in steps if "Index Name" in step] == ["ledger_statement"]
        assert 0 < rows_read(steps) <= PAGE_SIZE
        blocks = steps[0]["Shared Hit Blocks"] + steps[0]["Shared Read Blocks"]
        assert blocks <= PAGE_SIZE + INDEX_BLOCKS_MAX


async def test_a_balance_is_read_from_a_row_for_each_currency_and_account(books: asyncpg.Pool) -> None:
    steps = await steps_of(books, "balances_of_merchant", LARGE)

    assert {step["Relation Name"] for step in steps if "Relation Name" in step} == {"ledger_balances"}
    accounts, currencies, merchants = 2, 2, 2
    assert rows_read(steps) <= accounts * currencies * merchants
