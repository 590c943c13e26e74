"""Groups: looking at them, which everybody may, and joining or opening them, which takes a buyer."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from litestar import Response, Router, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from pintuan.auth import requires_role
from pintuan.bodies import ApiRequest
from pintuan.documentation.codes import problem_codes
from pintuan.etag import ETAG_HEADERS, NOT_MODIFIED, conditional
from pintuan.groups import service
from pintuan.groups.schemas import Group, Order
from pintuan.orders.placing import REPLAY, place_order
from pintuan.orders.schemas import NewOrder
from pintuan.pagination import LIMIT_DEFAULT, CursorParameter, LimitParameter, Page
from pintuan.parameters import IdempotencyKeyHeader, InjectedResources

PLACEMENT_CODES: Final = ("deal_not_active", "already_joined", "limit_reached", "sold_out")

JoinableParameter = Annotated[
    Literal["open"], QueryParameter(description="Only groups one can join are listed.")
]


@get(
    "/v1/groups/{group_id:str}",
    summary="One group",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
)
async def get_group(
    group_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[Group]:
    """Answers a group with its entity tag; a signed-in member also sees their own order."""
    return tagged(request, await service.get_group(resources, group_id, request.user))


@get(
    "/v1/share/{share_code:str}",
    summary="The group behind a link",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
)
async def get_shared_group(
    share_code: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[Group]:
    """Answers the group that a share code leads to."""
    return tagged(request, await service.get_shared_group(resources, share_code, request.user))


@get("/v1/deals/{deal_id:str}/groups", summary="Groups one can join now")
async def list_joinable_groups(
    deal_id: FromPath[str],
    resources: InjectedResources,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
    status: JoinableParameter = "open",  # noqa: ARG001 - part of the contract; there is one value so far
) -> Page[Group]:
    """Answers the deal's open groups with room, fullest first."""
    return await service.list_joinable(resources, deal_id, cursor=cursor, limit=limit)


@post(
    "/v1/deals/{deal_id:str}/join",
    guards=[requires_role("buyer")],
    summary="Join the best open group",
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
    guards=[requires_role("buyer")],
    summary="Open a group",
    responses=REPLAY,
    opt=problem_codes("deal_not_active", "limit_reached", "sold_out"),
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
    guards=[requires_role("buyer")],
    summary="Join this group",
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


def tagged(request: ApiRequest, group: Group) -> Response[Group]:
    """The tag leaves the server's time out, which changes with every answer."""
    return conditional(request, group, stable=msgspec.structs.replace(group, server_time=group.opened_at))


ROUTES: Final = [
    Router(
        "/",
        route_handlers=[
            get_group,
            get_shared_group,
            list_joinable_groups,
            join_deal,
            open_group,
            join_group,
        ],
        tags=["groups"],
    )
]
