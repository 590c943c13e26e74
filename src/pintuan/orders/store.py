"""Orders in Postgres as they are shown, one typed function per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.groups.schemas import Order, OrderStatus, Payment, PaymentStatus
from pintuan.money import Money
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from pintuan.pagination import Cursor

ORDERS = load_queries("orders")

_PAYMENTS: Final[dict[tuple[str, str], PaymentStatus]] = {
    ("authorise", "due"): "due",
    ("authorise", "in_flight"): "authorising",
    ("authorise", "succeeded"): "authorised",
    ("capture", "due"): "capturing",
    ("capture", "in_flight"): "capturing",
    ("capture", "succeeded"): "captured",
    ("void", "due"): "voiding",
    ("void", "in_flight"): "voiding",
    ("void", "succeeded"): "voided",
}
_ENDINGS: Final[dict[str, PaymentStatus]] = {"declined": "declined", "unknown": "unknown", "failed": "failed"}
_CHARGED: Final[frozenset[OrderStatus]] = frozenset({"captured", "partially_refunded", "refunded"})


async def select_order(pool: asyncpg.Pool, order_id: str, buyer_id: str) -> Order | None:
    """Returns the buyer's order without its group, or None; somebody else's is None as well."""
    row = await pool.fetchrow(ORDERS["select_order"], order_id, buyer_id)
    return None if row is None else _order_of(row)


async def select_order_in_group(pool: asyncpg.Pool, group_id: str, buyer_id: str) -> Order | None:
    """Returns the buyer's order in the group, the live one before any other, or None."""
    row = await pool.fetchrow(ORDERS["select_order_in_group"], group_id, buyer_id)
    return None if row is None else _order_of(row)


async def list_orders(pool: asyncpg.Pool, buyer_id: str, *, after: Cursor | None, limit: int) -> list[Order]:
    """Returns up to `limit` of the buyer's orders, newest first, from just behind `after`."""
    created_at, order_id = (after.created_at, after.id) if after else (None, None)
    rows = await pool.fetch(ORDERS["list_orders"], buyer_id, created_at, order_id, limit)
    return [_order_of(row) for row in rows]


def _order_of(row: asyncpg.Record) -> Order:
    currency: str = row["currency"]
    kind, state = row["payment_kind"], row["payment_state"]
    charged = row["status"] in _CHARGED
    return Order(
        id=row["id"],
        deal_id=row["deal_id"],
        group_id=row["group_id"],
        seat=row["seat"],
        status=row["status"],
        quantity=row["quantity"],
        promised_price=Money(row["promised_unit_minor"], currency),
        charged_unit_price=Money(row["final_unit_minor"], currency) if charged else None,
        charged_total=Money(row["final_unit_minor"] * row["quantity"], currency) if charged else None,
        payment=Payment(_ENDINGS.get(state) or _PAYMENTS[kind, state]),
        group=None,
        created_at=row["created_at"],
    )
