"""`/v1/merchant/activity`: who did what to a merchant's business."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from litestar import Response, Router, get
from litestar.params import QueryParameter

from pintuan.base.auth import SELLERS, check_role, requires_role
from pintuan.http.bodies import ApiRequest
from pintuan.http.filters import FILTER_CHARS_MAX, FILTER_PATTERN, IdParameter, SellerParameter
from pintuan.http.pagination import (
    LIMIT_DEFAULT,
    CursorParameter,
    LimitParameter,
    Page,
    decode_cursor,
    page_of,
)
from pintuan.http.parameters import InjectedResources
from pintuan.people.activity import store
from pintuan.people.activity.schemas import ActedBy, Activity, Change
from pintuan.people.merchants.service import merchant_of

ActionParameter: TypeAlias = Annotated[
    str | None,
    QueryParameter(max_length=FILTER_CHARS_MAX, pattern=FILTER_PATTERN, description="Only this operation."),
]


@get("/activity", guards=[requires_role("merchant")], summary="Who did what to my business, newest first")
async def list_activity(
    request: ApiRequest,
    resources: InjectedResources,
    action: ActionParameter = None,
    object_id: IdParameter = None,
    merchant_id: SellerParameter = None,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
) -> Response[Page[Activity]]:
    """Answers a page of the log of changes: by the merchant, by their API keys, and by the platform.

    An entry is written together with its change, so nothing that was changed is missing.
    """
    seller = merchant_of(check_role(request.user, SELLERS), merchant_id)
    wanted = store.Wanted(merchant_id=seller, action=action, object_id=object_id)
    rows = await store.list_activity(resources.pool, wanted, after=decode_cursor(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, item=_shown, place=lambda row: (row.created_at, row.id))
    return Response(page, headers={"cache-control": "no-store"})


def _shown(entry: store.Entry) -> Activity:
    # The people and the places of the platform are no merchant's business.
    own = entry.actor_role == "merchant"
    return Activity(
        id=entry.id,
        created_at=entry.created_at,
        actor=ActedBy(
            role=entry.actor_role,
            id=entry.actor if own else None,
            credential=entry.credential,
            credential_id=entry.credential_id if own else None,
            address=entry.address if own else None,
        ),
        action=entry.action,
        object_ids=entry.object_ids,
        changes={name: Change(**change) for name, change in entry.changes.items()},
        request_id=entry.request_id,
    )


HANDLERS: Final = [Router("/v1/merchant", route_handlers=[list_activity], tags=["merchants"])]
