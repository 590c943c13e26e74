"""Joining, opening and buying, and `/v1/orders`, which only their buyer sees."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from pintuan.base.auth import requires_role
from pintuan.buying.groups.schemas import Order, OrderStatus
from pintuan.buying.orders import service
from pintuan.buying.orders.placing import REPLAY, buyer_of, place_order, request_id_of
from pintuan.buying.orders.schemas import NewOrder
from pintuan.http.bodies import ApiRequest, refuse_fields
from pintuan.http.created import LOCATION_HEADERS
from pintuan.http.documentation.codes import problem_codes
from pintuan.http.etag import ETAG_HEADERS, NOT_MODIFIED, conditional
from pintuan.http.pagination import (
    LIMIT_DEFAULT,
    CursorParameter,
    LimitParameter,
    Page,
    decode_cursor,
    page_of,
)
from pintuan.http.parameters import IdempotencyKeyHeader, InjectedResources

OrderStatusParameter = Annotated[
    OrderStatus | None, QueryParameter(description="Only orders of this status.")
]
PLACEMENT_CODES: Final = ("deal_not_active", "already_joined", "limit_reached", "sold_out", "offer_changed")


@post(
    "/v1/deals/{deal_id:str}/join",
    tags=["groups"],
    guards=[requires_role("buyer")],
    summary="Join the best open group",
    response_headers=LOCATION_HEADERS,
    responses=REPLAY,
    opt=problem_codes(*PLACEMENT_CODES),
)
async def join_deal(
    deal_id: FromPath[str],
    data: JSONBody[NewOrder],
    request: ApiRequest,
    resources: InjectedResources,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Response[Order]:
    """Places the buyer into the fullest open group, or opens one; 200 when the key was used before."""
    return await place_order(resources, request, data, idempotency_key, verb="best", deal_id=deal_id)


@post(
    "/v1/deals/{deal_id:str}/groups",
    tags=["groups"],
    guards=[requires_role("buyer")],
    summary="Open a group",
    response_headers=LOCATION_HEADERS,
    responses=REPLAY,
    opt=problem_codes("deal_not_active", "limit_reached", "sold_out", "offer_changed"),
)
async def open_group(
    deal_id: FromPath[str],
    data: JSONBody[NewOrder],
    request: ApiRequest,
    resources: InjectedResources,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Response[Order]:
    """Opens a group with the buyer as its leader; 200 when the key was used before."""
    return await place_order(resources, request, data, idempotency_key, verb="open", deal_id=deal_id)


@post(
    "/v1/groups/{group_id:str}/join",
    tags=["groups"],
    guards=[requires_role("buyer")],
    summary="Join this group",
    response_headers=LOCATION_HEADERS,
    responses=REPLAY,
    opt=problem_codes(*PLACEMENT_CODES, "group_full", "group_closed"),
)
async def join_group(
    group_id: FromPath[str],
    data: JSONBody[NewOrder],
    request: ApiRequest,
    resources: InjectedResources,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Response[Order]:
    """Places the buyer into this group only; 200 when the key was used before."""
    return await place_order(resources, request, data, idempotency_key, verb="group", group_id=group_id)


@post(
    "/v1/deals/{deal_id:str}/buy",
    tags=["orders"],
    guards=[requires_role("buyer")],
    summary="Buy alone",
    response_headers=LOCATION_HEADERS,
    responses=REPLAY,
    opt=problem_codes("deal_not_active", "limit_reached", "sold_out", "offer_changed"),
)
async def buy_alone(
    deal_id: FromPath[str],
    data: JSONBody[NewOrder],
    request: ApiRequest,
    resources: InjectedResources,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Response[Order]:
    """Buys without a group, at the list price; 200 when the key was used before."""
    return await place_order(resources, request, data, idempotency_key, verb="solo", deal_id=deal_id)


@get(
    "/v1/orders",
    tags=["orders"],
    guards=[requires_role("buyer")],
    summary="My orders, newest first",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
)
async def list_orders(
    request: ApiRequest,
    resources: InjectedResources,
    status: OrderStatusParameter = None,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
) -> Response[Page[Order]]:
    """Answers a page of the buyer's orders with its entity tag."""
    rows = await service.list_orders(
        resources.pool,
        buyer_of(request),
        share_base=resources.settings.share_base,
        status=status,
        after=decode_cursor(cursor),
        limit=limit + 1,
    )
    page = page_of(rows, limit=limit, item=lambda row: row, place=lambda row: (row.created_at, row.id))
    stable = Page([_without_server_time(order) for order in page.items], page.next_cursor)
    return conditional(request, page, stable=stable)


@get(
    "/v1/orders/{order_id:str}",
    tags=["orders"],
    guards=[requires_role("buyer")],
    summary="One of my orders",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
)
async def get_order(
    order_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[Order]:
    """Answers an order with its entity tag; it changes with the order and with its group."""
    order = await service.get_order(
        resources.pool, order_id, buyer_of(request), share_base=resources.settings.share_base
    )
    return conditional(request, order, stable=_without_server_time(order))


@post(
    "/v1/orders/{order_id:str}/cancel",
    tags=["orders"],
    guards=[requires_role("buyer")],
    status_code=200,
    summary="Cancel one of my orders",
    opt=problem_codes("cancel_locked", "not_cancellable", "too_large", "unsupported_media_type"),
)
async def cancel_order(
    order_id: FromPath[str],
    request: ApiRequest,
    resources: InjectedResources,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Order:
    """Frees the seat while the group is open; whatever was authorised is voided. There is nothing to send."""
    await refuse_fields(request)
    buyer_id = buyer_of(request)
    request_id = request_id_of(request, buyer_id, idempotency_key)
    return await service.cancel(
        resources.pool,
        resources.engine,
        resources.doorbells,
        order_id,
        buyer_id,
        request_id=request_id,
        share_base=resources.settings.share_base,
    )


def _without_server_time(order: Order) -> Order:
    """The source of the entity tag: the group's server time changes with every answer."""
    if order.group is None:
        return order
    group = msgspec.structs.replace(order.group, server_time=order.group.opened_at)
    return msgspec.structs.replace(order, group=group)


HANDLERS: Final = [
    join_deal,
    open_group,
    join_group,
    buy_alone,
    list_orders,
    get_order,
    cancel_order,
]
