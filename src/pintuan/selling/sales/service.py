"""A merchant's sales, page by page."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

import msgspec

from pintuan.base.errors import NotFound
from pintuan.base.wire.money import Money
from pintuan.base.wire.page import Page
from pintuan.buying.groups.service import read_groups
from pintuan.buying.orders.ship_to import ADDRESS_BYTES_PER_PAGE
from pintuan.http.pagination import encode_cursor, within_bytes
from pintuan.selling.sales import store
from pintuan.selling.sales.schemas import Sale, SoldGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from pintuan.base.auth import Principal
    from pintuan.base.wire.cursors import Cursor
    from pintuan.buying.groups.schemas import Group, GroupStatus
    from pintuan.selling.sales.store import GroupSums, SalesFilter

_NOTHING_SOLD = store.GroupSums(orders_by_status={}, units=0, captured_minor=0, refunded_minor=0)


async def list_sales(
    pool: asyncpg.Pool, merchant_id: str, wanted: SalesFilter, *, after: Cursor | None, limit: int
) -> Page[Sale]:
    """Returns a page of the merchant's orders, newest first; it is shorter where addresses are long."""
    places = await store.page_of_sales(pool, merchant_id, wanted, after=after, limit=limit + 1)
    ids = [id_ for id_, _ in places[:limit]]
    sales = await store.select_sales(pool, ids, merchant_id, address_bytes_max=ADDRESS_BYTES_PER_PAGE)
    shown = list(takewhile(sales.__contains__, ids))
    return Page([sales[id_] for id_ in shown], _next_cursor(places, len(shown)))


async def get_sale(pool: asyncpg.Pool, seller: Principal, order_id: str) -> Sale:
    """Returns one of the merchant's orders, for an admin anybody's; raises NotFound."""
    merchant_id = None if seller.role == "admin" else seller.subject
    sale = (await store.select_sales(pool, [order_id], merchant_id)).get(order_id)
    if sale is None:
        raise NotFound("order")
    return sale


async def list_groups(
    pool: asyncpg.Pool,
    merchant_id: str,
    *,
    share_base: str,
    deal_id: str | None,
    status: GroupStatus | None,
    after: Cursor | None,
    limit: int,
) -> Page[SoldGroup]:
    """Returns a page of the groups of the merchant's deals with their sales, newest first.

    `share_base` is the URL that a share code is appended to, here and below.
    """
    places = await store.page_of_groups(
        pool, merchant_id, deal_id=deal_id, status=status, after=after, limit=limit + 1
    )
    ids = [id_ for id_, _ in places[:limit]]
    sold = await read_sold_groups(pool, ids, share_base=share_base)
    page = Page([sold[id_] for id_ in ids], _next_cursor(places, limit))
    return within_bytes(page, place=lambda group: (group.opened_at, group.id))


async def read_sold_groups(
    pool: asyncpg.Pool, group_ids: Sequence[str], *, share_base: str
) -> dict[str, SoldGroup]:
    """Returns those of the groups that exist with their sales, by id."""
    groups = await read_groups(pool, group_ids, share_base=share_base)
    sums = await store.sum_groups(pool, group_ids)
    return {id_: _sold(group, sums.get(id_, _NOTHING_SOLD)) for id_, group in groups.items()}


def _sold(group: Group, sums: GroupSums) -> SoldGroup:
    currency = group.unit_price.currency
    return SoldGroup(
        **msgspec.structs.asdict(group),
        units=sums.units,
        orders_by_status=sums.orders_by_status,
        revenue=Money(sums.captured_minor, currency),
        refunded=Money(sums.refunded_minor, currency),
        net_revenue=Money(sums.captured_minor - sums.refunded_minor, currency),
    )


def _next_cursor(places: list[store.Place], limit: int) -> str | None:
    if len(places) <= limit:
        return None
    id_, created_at = places[limit - 1]
    return encode_cursor(created_at, id_)
