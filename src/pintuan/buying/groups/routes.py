"""`/v1/groups/{id}`, `/v1/share/{code}` and the joinable groups of a deal: open to everybody."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

import msgspec
from litestar import Response, get
from litestar.params import FromPath, QueryParameter

from pintuan.buying.groups import service
from pintuan.buying.groups.schemas import Group, JoinableGroup
from pintuan.http.bodies import ApiRequest
from pintuan.http.etag import ETAG_HEADERS, NOT_MODIFIED, conditional
from pintuan.http.pagination import LIMIT_DEFAULT, CursorParameter, LimitParameter, Page
from pintuan.http.parameters import InjectedResources
from pintuan.shop.deals.service import get_deal

JoinableParameter = Annotated[
    Literal["open"], QueryParameter(description="Only groups one can join are listed.")
]


@get(
    "/v1/groups/{group_id:str}",
    tags=["groups"],
    summary="One group",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
)
async def get_group(
    group_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[Group]:
    """Answers a group with its entity tag; a signed-in member also sees their own order."""
    return tagged(
        request,
        await service.get_group(
            resources.pool, group_id, request.user, share_base=resources.settings.share_base
        ),
    )


@get(
    "/v1/deals/{deal_id:str}/groups",
    tags=["groups"],
    summary="Groups one can join now",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
)
async def list_joinable_groups(
    deal_id: FromPath[str],
    request: ApiRequest,
    resources: InjectedResources,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
    status: JoinableParameter = "open",  # noqa: ARG001 - part of the contract; there is one value so far
) -> Response[Page[JoinableGroup]]:
    """Answers open groups with room, fullest first, and how many are missing in each for each price.

    There are none before the deal starts or while it is paused.
    """
    page = await service.list_joinable(
        resources.pool,
        resources.engine,
        await get_deal(resources.pool, deal_id),
        share_base=resources.settings.share_base,
        cursor=cursor,
        limit=limit,
    )
    stable = Page([_without_server_time(group) for group in page.items], page.next_cursor)
    return conditional(request, page, stable=stable)


GroupT = TypeVar("GroupT", bound=Group)


def tagged(request: ApiRequest, group: Group) -> Response[Group]:
    """The tag leaves the server's time out, which changes with every answer."""
    return conditional(request, group, stable=_without_server_time(group))


def _without_server_time(group: GroupT) -> GroupT:
    return msgspec.structs.replace(group, server_time=group.opened_at)


HANDLERS: Final = [get_group, list_joinable_groups]
