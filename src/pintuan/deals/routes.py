"""`/v1/deals`: what merchants do with deals, and what everybody sees of them."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response, Router, get, patch, post
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from pintuan.auth import check_role, requires_role
from pintuan.bodies import ApiRequest
from pintuan.bootstrap import Resources
from pintuan.deals import service
from pintuan.deals.schemas import Deal, DealChange, DealStatus, NewDeal
from pintuan.documentation.codes import problem_codes
from pintuan.etag import conditional
from pintuan.pagination import (
    LIMIT_DEFAULT,
    CursorParameter,
    LimitParameter,
    Page,
    decode_cursor,
    page_of,
)
from pintuan.parameters import InjectedResources

SELLERS: Final = frozenset({"merchant", "admin"})

StatusParameter = Annotated[DealStatus | None, QueryParameter(description="Only deals of this status.")]


@post(
    "/",
    guards=[requires_role("merchant")],
    opt=problem_codes("not_found"),
    summary="Put a variant on offer",
)
async def create_deal(data: JSONBody[NewDeal], request: ApiRequest, resources: InjectedResources) -> Deal:
    """Makes a deal on a variant of the merchant who calls; every fault is named at once."""
    return await service.create_deal(resources.pool, check_role(request.user, SELLERS), data)


@get("/", summary="Deals, newest first")
async def list_deals(
    resources: InjectedResources,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
    status: StatusParameter = None,
) -> Page[Deal]:
    """Answers a page of everybody's deals."""
    rows = await service.list_deals(
        resources.pool, after=decode_cursor(cursor), status=status, limit=limit + 1
    )
    return page_of(rows, limit=limit, item=lambda row: row, place=lambda row: (row.created_at, row.id))


@get(
    "/{deal_id:str}",
    response_headers=[ResponseHeader("ETag", description="Of what is shown.", documentation_only=True)],
    responses={304: ResponseSpec(None, description="Still what If-None-Match names.")},
    summary="One deal",
)
async def get_deal(
    deal_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[Deal]:
    """Answers a deal with its entity tag; it changes with every unit sold."""
    return conditional(request, await service.get_deal(resources.pool, deal_id))


@patch(
    "/{deal_id:str}",
    guards=[requires_role("merchant")],
    opt=problem_codes("deal_not_active"),
    summary="Change title, end or stock",
)
async def change_deal(
    deal_id: FromPath[str], data: JSONBody[DealChange], request: ApiRequest, resources: InjectedResources
) -> Deal:
    """Changes what is given. Stock only grows; open groups keep their deadlines and their ladder."""
    deal = await service.change_deal(resources.pool, check_role(request.user, SELLERS), deal_id, data)
    await service.tell_lanes(resources.engine, deal_id)
    return deal


@post(
    "/{deal_id:str}/pause",
    guards=[requires_role("merchant")],
    opt=problem_codes("deal_not_active"),
    status_code=200,
    summary="Refuse joins for now",
)
async def pause_deal(deal_id: FromPath[str], request: ApiRequest, resources: InjectedResources) -> Deal:
    """Refuses new joins until the deal is resumed; no group's clock stops."""
    return await _set_status(request, resources, deal_id, "paused")


@post(
    "/{deal_id:str}/resume",
    guards=[requires_role("merchant")],
    opt=problem_codes("deal_not_active"),
    status_code=200,
    summary="Accept joins again",
)
async def resume_deal(deal_id: FromPath[str], request: ApiRequest, resources: InjectedResources) -> Deal:
    """Takes a pause back."""
    return await _set_status(request, resources, deal_id, "active")


@post(
    "/{deal_id:str}/end", guards=[requires_role("merchant")], status_code=200, summary="End the deal for good"
)
async def end_deal(deal_id: FromPath[str], request: ApiRequest, resources: InjectedResources) -> Deal:
    """Forbids new groups; those open run on to their own end."""
    return await _set_status(request, resources, deal_id, "ended")


async def _set_status(
    request: ApiRequest, resources: Resources, deal_id: str, status: service.StatusSet
) -> Deal:
    deal = await service.set_deal_status(resources.pool, check_role(request.user, SELLERS), deal_id, status)
    await service.tell_lanes(resources.engine, deal_id)
    return deal


ROUTES: Final = [
    Router(
        "/v1/deals",
        route_handlers=[create_deal, list_deals, get_deal, change_deal, pause_deal, resume_deal, end_deal],
        tags=["deals"],
    )
]
