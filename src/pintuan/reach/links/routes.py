"""The group behind a shared link."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response, get
from litestar.params import FromPath, QueryParameter

from pintuan.buying.groups import service
from pintuan.buying.groups.routes import tagged
from pintuan.buying.groups.schemas import Group
from pintuan.http.bodies import ApiRequest
from pintuan.http.etag import ETAG_HEADERS, NOT_MODIFIED
from pintuan.http.filters import FILTER_CHARS_MAX, FILTER_PATTERN
from pintuan.http.parameters import InjectedResources
from pintuan.reach.links.service import note_opened

InviteParameter = Annotated[
    str | None,
    QueryParameter(
        max_length=FILTER_CHARS_MAX,
        pattern=FILTER_PATTERN,
        description="The invite code of a personal link.",
    ),
]


@get(
    "/v1/share/{share_code:str}",
    tags=["groups"],
    summary="The group behind a link",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
)
async def get_shared_group(
    share_code: FromPath[str],
    request: ApiRequest,
    resources: InjectedResources,
    invite: InviteParameter = None,
) -> Response[Group]:
    """Answers the group that a share code leads to; of an invitation it is noted that it was opened."""
    if invite is not None:
        await note_opened(resources.pool, share_code, invite)
    return tagged(
        request,
        await service.get_shared_group(
            resources.pool, share_code, request.user, share_base=resources.settings.share_base
        ),
    )


HANDLERS: Final = [get_shared_group]
