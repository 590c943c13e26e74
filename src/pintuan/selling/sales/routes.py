"""`/v1/merchant/orders` and `/v1/merchant/groups`: what a merchant sold."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias
from urllib.parse import urlencode

import msgspec
from litestar import Response, Router, get
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from pintuan.base.auth import SELLERS, check_role, requires_role
from pintuan.base.wire.page import Page
from pintuan.buying.groups.schemas import GroupStatus, OrderStatus
from pintuan.http.bodies import ApiRequest
from pintuan.http.etag import ETAG_HEADERS, NOT_MODIFIED, conditional
from pintuan.http.filters import FILTER_CHARS_MAX, FILTER_PATTERN, TIME, SellerParameter, time_of
from pintuan.http.pagination import (
    LIMIT_DEFAULT,
    CursorParameter,
    LimitParameter,
    decode_cursor,
    within_bytes,
)
from pintuan.http.parameters import InjectedResources
from pintuan.http.spreadsheet import CSV, download
from pintuan.people.merchants.service import merchant_of
from pintuan.selling.sales import service
from pintuan.selling.sales.schemas import Sale, SoldGroup
from pintuan.selling.sales.sheet import sheet_of
from pintuan.selling.sales.store import SalesFilter

# A part of a spreadsheet; its orders are held in memory while it is written.
ROWS_MAX: Final = 1_000

DealParameter: TypeAlias = Annotated[
    str | None,
    QueryParameter(max_length=FILTER_CHARS_MAX, pattern=FILTER_PATTERN, description="Only of this deal."),
]
GroupParameter: TypeAlias = Annotated[
    str | None,
    QueryParameter(max_length=FILTER_CHARS_MAX, pattern=FILTER_PATTERN, description="Only of this group."),
]
OrderStatusParameter: TypeAlias = Annotated[
    OrderStatus | None, QueryParameter(description="Only orders of this status.")
]
GroupStatusParameter: TypeAlias = Annotated[
    GroupStatus | None, QueryParameter(description="Only groups of this status.")
]
RowsParameter: TypeAlias = Annotated[
    int, QueryParameter(ge=1, le=ROWS_MAX, description="How many orders at most.")
]
FromParameter: TypeAlias = Annotated[
    str | None, QueryParameter(schema_extra=TIME, description="Only orders placed at this time or later.")
]
ToParameter: TypeAlias = Annotated[
    str | None, QueryParameter(schema_extra=TIME, description="Only orders placed before this time.")
]


@get(
    "/orders",
    summary="Orders of my deals, newest first",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
)
async def list_sales(
    request: ApiRequest,
    resources: InjectedResources,
    deal_id: DealParameter = None,
    group_id: GroupParameter = None,
    status: OrderStatusParameter = None,
    created_from: FromParameter = None,
    created_to: ToParameter = None,
    merchant_id: SellerParameter = None,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
) -> Response[Page[Sale]]:
    """Answers a page of orders with what fulfilment needs; the address comes with the payment."""
    seller = merchant_of(check_role(request.user, SELLERS), merchant_id)
    wanted = _wanted(deal_id, group_id, status, created_from, created_to)
    page = await service.list_sales(resources.pool, seller, wanted, after=decode_cursor(cursor), limit=limit)
    return conditional(request, within_bytes(page, place=lambda sale: (sale.created_at, sale.id)))


@get("/orders.csv", summary="Orders of my deals as a spreadsheet", media_type=CSV)
async def export_sales(
    request: ApiRequest,
    resources: InjectedResources,
    deal_id: DealParameter = None,
    group_id: GroupParameter = None,
    status: OrderStatusParameter = None,
    created_from: FromParameter = None,
    created_to: ToParameter = None,
    merchant_id: SellerParameter = None,
    limit: RowsParameter = ROWS_MAX,
    cursor: CursorParameter = None,
) -> Stream:
    """Answers the same orders as CSV, newest first, amounts in minor units and as people write them.

    It begins with a byte order mark (EF BB BF), by which spreadsheets know UTF-8.

    Where there are more, the `Link` header names the next part with `rel="next"` (RFC 8288). A part of very
    long addresses has fewer orders than `limit`. A merchant has one spreadsheet or statement at a time; one
    that is read at less than 32 kB a second is cut off.
    """
    seller = merchant_of(check_role(request.user, SELLERS), merchant_id)
    wanted = _wanted(deal_id, group_id, status, created_from, created_to)
    page = await service.list_sales(resources.pool, seller, wanted, after=decode_cursor(cursor), limit=limit)
    headers = {}
    if page.next_cursor is not None:
        query = urlencode({**dict(request.query_params), "cursor": page.next_cursor})
        headers["link"] = f'<{request.scope["path"]}?{query}>; rel="next"'
    return download(sheet_of(page.items), "orders.csv", headers)


@get(
    "/orders/{order_id:str}",
    summary="One order of my deals",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
)
async def get_sale(
    order_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[Sale]:
    """Answers an order as its merchant sees it."""
    return conditional(
        request, await service.get_sale(resources.pool, check_role(request.user, SELLERS), order_id)
    )


@get(
    "/groups",
    summary="Groups of my deals, newest first",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
)
async def list_sold_groups(
    request: ApiRequest,
    resources: InjectedResources,
    deal_id: DealParameter = None,
    status: GroupStatusParameter = None,
    merchant_id: SellerParameter = None,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
) -> Response[Page[SoldGroup]]:
    """Answers a page of groups with their units, orders by status, and revenue so far.

    Groups that ended without anybody's payment ever having been authorised are left out.
    """
    seller = merchant_of(check_role(request.user, SELLERS), merchant_id)
    page = await service.list_groups(
        resources.pool,
        seller,
        share_base=resources.settings.share_base,
        deal_id=deal_id,
        status=status,
        after=decode_cursor(cursor),
        limit=limit,
    )
    stable = Page(
        [msgspec.structs.replace(group, server_time=group.opened_at) for group in page.items],
        page.next_cursor,
    )
    return conditional(request, page, stable=stable)


def _wanted(
    deal_id: str | None,
    group_id: str | None,
    status: OrderStatus | None,
    created_from: str | None,
    created_to: str | None,
) -> SalesFilter:
    return SalesFilter(
        deal_id=deal_id,
        group_id=group_id,
        status=status,
        created_from=time_of("created_from", created_from),
        created_to=time_of("created_to", created_to),
    )


HANDLERS: Final = [
    Router(
        "/v1/merchant",
        route_handlers=[list_sales, export_sales, get_sale, list_sold_groups],
        guards=[requires_role("merchant")],
        tags=["merchants"],
    )
]
