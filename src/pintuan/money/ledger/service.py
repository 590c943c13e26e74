"""Statements, a page at a time however long they are, and the platform's part of sales."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.http.spreadsheet import head_of, major, rows_of
from pintuan.money.ledger import store
from pintuan.people.activity.changes import changed
from pintuan.people.activity.log import note

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    import asyncpg

PAGE_SIZE: Final = 1_000
COLUMNS: Final = ("time", "order_id", "entry", "amount_minor", "currency", "amount")

# The meaning of a transaction's line for the merchant.
_ENTRIES: Final = {
    ("sale", 2): "sale",
    ("capture", 3): "fee",
    ("write_off", 3): "charge failed",
    ("refund_asked", 1): "refund",
    ("refund_asked", 4): "fee returned",
    ("refund_failed", 1): "refund failed",
    ("refund_failed", 4): "fee taken again",
}


async def set_fee(pool: asyncpg.Pool, merchant_id: str, fee_bps: int) -> int | None:
    """Sets a merchant's fee in basis points and returns the one before; None for a merchant not known yet."""
    async with pool.acquire() as connection, connection.transaction():
        before = await store.set_merchant_fee(connection, merchant_id, fee_bps)
        await note(connection, merchant_id, [merchant_id], changed({"fee_bps": before}, {"fee_bps": fee_bps}))
        return before


async def statement(
    pool: asyncpg.Pool, merchant_id: str, *, since: datetime, until: datetime
) -> AsyncIterator[str]:
    """Yields the CSV of a period in parts; `since` is in it, `until` is not."""
    yield head_of(COLUMNS)
    after = store.Place(since, "", "", 0, 0)
    while True:
        page = await store.statement_page(
            pool, merchant_id, since=since, until=until, after=after, limit=PAGE_SIZE
        )
        if page:
            yield rows_of([_cells_of(movement) for movement in page])
        if len(page) < PAGE_SIZE:
            return
        after = page[-1].place


def _cells_of(movement: store.Movement) -> tuple[object, ...]:
    return (
        # As in JSON, so that both can be compared.
        msgspec.json.encode(movement.created_at).decode().strip('"'),
        movement.order_id,
        _ENTRIES[movement.kind, movement.line_no],
        movement.amount_minor,
        movement.currency,
        major(movement.amount_minor, movement.currency),
    )
