"""What Postgres holds of a seed once all is over: the state that its history is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.statements import kit_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

LIVE_ENDS: Final = frozenset({"authorised", "captured", "partially_refunded", "refunded", "held"})
"""Statuses whose orders hold stock, a seat and a part of their buyer's limit."""


class DealKept(msgspec.Struct, frozen=True, kw_only=True):
    """A deal as Postgres has it."""

    id: str
    stock_units: int
    per_buyer_units: int
    lanes_stock: int
    lanes_sold: int


class GroupKept(msgspec.Struct, frozen=True, kw_only=True):
    """A group as Postgres has it; moments are Unix seconds of the marketplace's own time."""

    id: str
    deal_id: str
    status: str
    capacity: int
    min_headcount: int
    tier_headcounts: list[int]
    tier_prices_minor: list[int]
    final_headcount: int | None
    final_unit_price_minor: int | None
    deadline_s: float
    closing_s: float | None
    settled_s: float | None


class OrderKept(msgspec.Struct, frozen=True, kw_only=True):
    """An order as Postgres has it, with its payments, its part of the ledger, and the gateway's books."""

    id: str
    deal_id: str
    group_id: str | None
    seat: int | None
    buyer_id: str
    quantity: int
    status: str
    promised_minor: int
    final_minor: int | None
    payment_method: str
    created_s: float
    changed_s: float
    authorise: str | None
    capture: str | None
    void: str | None
    escalated: bool
    sold: int
    captured: int
    written_off: int
    gateway_status: str | None
    gateway_captured: int

    @property
    def place(self) -> tuple[str, str, str | None, int | None, int, int]:
        """What never changes about an order."""
        return self.id, self.deal_id, self.group_id, self.seat, self.quantity, self.promised_minor


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """All of a seed's deals, groups and orders."""

    deals: list[DealKept]
    groups: list[GroupKept]
    orders: list[OrderKept]


async def read_books(connection: asyncpg.Connection, deal_ids: Sequence[str]) -> Books:
    """Reads everything of these deals."""
    rows = {
        name: await connection.fetch(statements()[name], deal_ids) for name in ("deals", "groups", "orders")
    }
    return msgspec.convert({name: [dict(row) for row in found] for name, found in rows.items()}, Books)


async def count_under_way(connection: asyncpg.Connection, deal_ids: Sequence[str]) -> dict[str, int]:
    """Counts what still has to happen to these deals: groups, orders and operations that have not ended."""
    row = await connection.fetchrow(statements()["under_way"], deal_ids)
    assert row is not None  # noqa: S101 - it is one row of counts.
    return dict(row)


def statements() -> dict[str, str]:
    """The statements of books.sql."""
    return dict(kit_statements("chaos/books"))
