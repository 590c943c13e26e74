"""Orders in Postgres as they are shown, one typed function per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.buying.groups.schemas import Order
from pintuan.buying.groups.shown import order_of
from pintuan.shop.offers.shown import offer_of
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from groups.placement import Placement
    from pintuan.base.wire.cursors import Cursor
    from pintuan.buying.groups.schemas import OrderStatus
    from pintuan.shop.offers.schemas import Offer

ORDERS = load_queries(__package__)


async def select_order(pool: asyncpg.Pool, order_id: str, buyer_id: str) -> Order | None:
    """Returns the buyer's order without its group, or None; somebody else's is None as well."""
    row = await pool.fetchrow(ORDERS["select_order"], order_id, buyer_id)
    return None if row is None else order_of(row)


async def select_any_order(pool: asyncpg.Pool, order_id: str) -> Order | None:
    """Returns anybody's order without its group, or None."""
    row = await pool.fetchrow(ORDERS["select_any_order"], order_id)
    return None if row is None else order_of(row)


async def select_offer_to_place(pool: asyncpg.Pool, placement: Placement) -> Offer | None:
    """Returns what is on offer where an order is to be placed; None where it has been, or no deal is."""
    kept = await pool.fetchval(
        ORDERS["select_offer_to_place"], placement.deal_id, placement.group_id, placement.request_id
    )
    return None if kept is None else offer_of(kept)


async def list_orders(
    pool: asyncpg.Pool, buyer_id: str, *, status: OrderStatus | None, after: Cursor | None, limit: int
) -> list[Order]:
    """Returns up to `limit` of the buyer's orders of a status, or any, newest first, from behind `after`."""
    created_at, order_id = (after.created_at, after.id) if after else (None, None)
    rows = await pool.fetch(ORDERS["list_orders"], buyer_id, created_at, order_id, limit, status)
    return [order_of(row) for row in rows]
