"""The books in Postgres, one typed function per statement."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pintuan.base.wire.money import Money
from pintuan.money.ledger.schemas import CurrencyBalance
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

LEDGER = load_queries(__package__)


class Place(NamedTuple):
    """Where a page of a statement ended."""

    created_at: datetime
    order_id: str
    kind: str
    operation_no: int
    line_no: int


class Movement(msgspec.Struct, frozen=True):
    """A change of the amount owed to a merchant; credits are positive, in minor units."""

    created_at: datetime
    order_id: str
    kind: str
    operation_no: int
    line_no: int
    amount_minor: int
    currency: str

    @property
    def place(self) -> Place:
        """Where it stands in the statement."""
        return Place(self.created_at, self.order_id, self.kind, self.operation_no, self.line_no)


async def balances(pool: asyncpg.Pool, merchant_id: str) -> list[CurrencyBalance]:
    """Returns the merchant's balances, by currency."""
    rows = await pool.fetch(LEDGER["balances_of_merchant"], merchant_id)
    return [
        CurrencyBalance(
            available=Money(row["available_minor"], row["currency"]),
            pending=Money(row["pending_minor"], row["currency"]),
            fees=Money(row["fees_minor"], row["currency"]),
            refunding=Money(row["refunding_minor"], row["currency"]),
        )
        for row in rows
    ]


async def statement_page(
    pool: asyncpg.Pool, merchant_id: str, *, since: datetime, until: datetime, after: Place, limit: int
) -> list[Movement]:
    """Returns up to `limit` movements of the period, the oldest first, from just behind `after`."""
    rows = await pool.fetch(LEDGER["statement_page"], merchant_id, since, until, *after, limit)
    return [Movement(**row) for row in rows]


async def merchant_fee(pool: asyncpg.Pool, merchant_id: str) -> int | None:
    """Returns the platform's fee on what the merchant sells, in basis points; None for an unknown one."""
    fee_bps: int | None = await pool.fetchval(LEDGER["merchant_fee"], merchant_id)
    return fee_bps


async def set_merchant_fee(connection: PoolConnectionProxy, merchant_id: str, fee_bps: int) -> int | None:
    """Sets the fee of a merchant, who is added if need be; returns the one before, None for a new one."""
    before: int | None = await connection.fetchval(LEDGER["set_merchant_fee"], merchant_id, fee_bps)
    return before
