"""Sales in Postgres, one typed function per statement."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_args

import msgspec

from pintuan.buying.groups.schemas import GroupStatus, OrderStatus
from pintuan.buying.groups.shown import CHARGED, order_of
from pintuan.people.merchants.references import REFERENCE_BYTES, reference_of
from pintuan.selling.sales.schemas import Sale
from pintuan.shop.offers.shown import offer_of
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.wire.cursors import Cursor

QUERIES: Final = load_queries(__package__, "selling")
ORDER_STATUSES: Final[tuple[OrderStatus, ...]] = get_args(OrderStatus)
GROUP_STATUSES: Final[tuple[GroupStatus, ...]] = get_args(GroupStatus)
ENDED: Final[frozenset[OrderStatus]] = frozenset(
    {"declined", "expired", "cancelled", "released", "payment_failed"}
)
SALES_PER_TURN: Final = 100
_EVER: Final = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))

Place: TypeAlias = tuple[str, datetime]


class SalesFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a merchant's orders; None means all. `created_to` is not included."""

    deal_id: str | None = None
    group_id: str | None = None
    status: OrderStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


class GroupSums(msgspec.Struct, frozen=True, kw_only=True):
    """The sales of a group; `captured_minor` is before refunds."""

    orders_by_status: dict[OrderStatus, int]
    units: int
    captured_minor: int
    refunded_minor: int


async def page_of_sales(
    pool: asyncpg.Pool, merchant_id: str, wanted: SalesFilter, *, after: Cursor | None, limit: int
) -> list[Place]:
    """Returns ids and times of creation of up to `limit` orders, newest first, from just behind `after`."""
    bounds = (
        merchant_id,
        wanted.deal_id,
        ORDER_STATUSES if wanted.status is None else (wanted.status,),
        wanted.created_from or _EVER[0],
        wanted.created_to or _EVER[1],
        after.created_at if after else _EVER[1],
        after.id if after else "",
    )
    if wanted.group_id is None:
        rows = await pool.fetch(QUERIES["page_of_sales"], *bounds, limit)
    else:
        rows = await pool.fetch(QUERIES["page_of_group_sales"], *bounds, wanted.group_id, limit)
    return [(row["id"], row["created_at"]) for row in rows]


async def select_sales(
    pool: asyncpg.Pool,
    order_ids: Sequence[str],
    merchant_id: str | None,
    *,
    address_bytes_max: int | None = None,
) -> dict[str, Sale]:
    """Returns those of the orders that are the merchant's, or with None anybody's, by id, newest first.

    If addresses are long, only the newest orders come: as many as have `address_bytes_max`, and one more.
    """
    rows = await pool.fetch(QUERIES["select_sales"], order_ids, merchant_id, address_bytes_max)
    sales: dict[str, Sale] = {}
    for start in range(0, len(rows), SALES_PER_TURN):
        sales |= {row["id"]: _sale_of(row) for row in rows[start : start + SALES_PER_TURN]}
        # A spreadsheet has a thousand, and others are not to wait for all of them.
        await asyncio.sleep(0)
    return sales


async def page_of_groups(
    pool: asyncpg.Pool,
    merchant_id: str,
    *,
    deal_id: str | None,
    status: GroupStatus | None,
    after: Cursor | None,
    limit: int,
) -> list[Place]:
    """Returns ids and times of opening of up to `limit` groups, newest first, from just behind `after`."""
    rows = await pool.fetch(
        QUERIES["page_of_groups"],
        merchant_id,
        deal_id,
        GROUP_STATUSES if status is None else (status,),
        after.created_at if after else _EVER[1],
        after.id if after else "",
        limit,
    )
    return [(row["id"], row["opened_at"]) for row in rows]


async def sum_groups(pool: asyncpg.Pool, group_ids: Sequence[str]) -> dict[str, GroupSums]:
    """Returns the sums of the groups that have orders, by id."""
    rows = await pool.fetch(QUERIES["sum_groups"], group_ids)
    return {
        group_id: _sums_of([row for row in rows if row["group_id"] == group_id]) for group_id in group_ids
    }


def card_reference_of(key: bytes, card_digest: bytes) -> str:
    """Returns what a merchant whose key this is knows a card by."""
    return f"crd_{hmac.digest(key, card_digest, 'sha256')[:REFERENCE_BYTES].hex()}"


def address_reference_of(key: bytes, ship_to: Mapping[str, Any]) -> str:
    """Returns what a merchant whose key this is knows an address by; case and spaces make no other one."""
    plain = "".join(msgspec.json.encode(ship_to, order="sorted").decode().casefold().split())
    return f"adr_{hmac.digest(key, plain.encode(), 'sha256')[:REFERENCE_BYTES].hex()}"


def _sums_of(rows: Sequence[asyncpg.Record]) -> GroupSums:
    return GroupSums(
        orders_by_status={row["status"]: row["orders"] for row in rows},
        units=sum(row["units"] for row in rows if row["status"] not in ENDED),
        captured_minor=sum(row["captured_minor"] or 0 for row in rows),
        refunded_minor=sum(row["refunded_minor"] for row in rows),
    )


def _sale_of(row: asyncpg.Record) -> Sale:
    order = order_of(row)
    key, card, address = row["buyer_reference_key"], row["card_digest"], row["ship_to"]
    return Sale(
        id=order.id,
        deal_id=order.deal_id,
        offer=offer_of(row["offer"]),
        group_id=order.group_id,
        seat=order.seat,
        status=order.status,
        quantity=order.quantity,
        promised_price=order.promised_price,
        charged_unit_price=order.charged_unit_price,
        charged_total=order.charged_total,
        refunded_total=order.refunded_total,
        refunds=order.refunds,
        payment=order.payment,
        buyer_reference=reference_of(key, row["buyer_id"]),
        card_reference=None if card is None else card_reference_of(key, card),
        address_reference=None if address is None else address_reference_of(key, address),
        # Fulfilment begins with the payment; before it, the address is the buyer's alone.
        ship_to=row["ship_to"] if order.status in CHARGED else None,
        created_at=order.created_at,
        updated_at=row["updated_at"],
    )
