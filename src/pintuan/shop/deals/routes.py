"""`/v1/deals`: what merchants do with deals, and what everybody sees of them."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response, Router, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from pintuan.base.auth import SELLERS, check_role, requires_role
from pintuan.base.process import Resources
from pintuan.http.bodies import ApiRequest
from pintuan.http.created import LOCATION_HEADERS, created
from pintuan.http.documentation.codes import problem_codes
from pintuan.http.etag import ETAG_HEADERS, NOT_MODIFIED, conditional
from pintuan.http.filters import (
    CurrencyParameter,
    IdParameter,
    MerchantParameter,
    PriceParameter,
    QueryText,
    query_of,
)
from pintuan.http.pagination import (
    LIMIT_DEFAULT,
    CursorParameter,
    LimitParameter,
    Page,
    decode_key_cursor,
    key_page_of,
    scope_of,
)
from pintuan.http.parameters import InjectedResources
from pintuan.shop.deals import service
from pintuan.shop.deals.room import room_of
from pintuan.shop.deals.schemas import Deal, DealChange, DealFilter, DealSort, DealStatus, NewDeal

SortParameter = Annotated[
    DealSort,
    QueryParameter(
        description="The order. `ending_soon` leaves out deals that have ended; a discount is that of the "
        "lowest price off the list price."
    ),
]
StatusParameter = Annotated[DealStatus | None, QueryParameter(description="Only deals of this status.")]


@post(
    "/",
    guards=[requires_role("merchant")],
    opt=problem_codes("not_found", "limit_reached"),
    response_headers=LOCATION_HEADERS,
    summary="Put a variant on offer",
)
async def create_deal(
    data: JSONBody[NewDeal], request: ApiRequest, resources: InjectedResources
) -> Response[Deal]:
    """Makes a deal on a variant of the merchant who calls; every fault is named at once."""
    deal = await service.create_deal(
        resources.pool,
        check_role(request.user, SELLERS),
        data,
        rules=resources.gateway_rules,
        room=room_of(resources.settings),
    )
    return created(deal, f"/v1/deals/{deal.id}")


@get(
    "/",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
    summary="Deals, by words and filters, in one of four orders",
)
async def list_deals(
    request: ApiRequest,
    resources: InjectedResources,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
    q: QueryText = None,
    merchant_id: MerchantParameter = None,
    product_id: IdParameter = None,
    variant_id: IdParameter = None,
    status: StatusParameter = None,
    currency: CurrencyParameter = None,
    price_max: PriceParameter = None,
    sort: SortParameter = "newest",
) -> Response[Page[Deal]]:
    """Answers a page of everybody's deals that pass all filters, with its entity tag.

    Those of hidden products are listed for their merchant alone, who filters by their own `merchant_id`.
    Of pictures there are the first three. `price_max` bounds the lowest price. A cursor counts for the
    filters and the order it was given with.
    """
    wanted = DealFilter(
        q=query_of(q),
        merchant_id=merchant_id,
        product_id=product_id,
        variant_id=variant_id,
        status=status,
        currency=currency,
        price_max=price_max,
        sort=sort,
    )
    scope = scope_of("deals", wanted)
    rows = await service.list_deals(
        resources.pool, wanted, request.user, after=decode_key_cursor(cursor, scope), limit=limit + 1
    )
    page = key_page_of(
        rows, limit=limit, scope=scope, item=lambda row: row[1], place=lambda row: (row[0], row[1].id)
    )
    return conditional(request, page)


@get(
    "/{deal_id:str}",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
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
    summary="Change title, end, stock or nudges",
)
async def change_deal(
    deal_id: FromPath[str], data: JSONBody[DealChange], request: ApiRequest, resources: InjectedResources
) -> Deal:
    """Changes what is given. Stock only grows; open groups keep their deadlines and their ladder.

    A merchant makes at most 120 such changes a minute.
    """
    deal = await service.change_deal(
        resources.pool,
        check_role(request.user, SELLERS),
        deal_id,
        data,
        is_paced=resources.settings.rate_limits,
    )
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


HANDLERS: Final = [
    Router(
        "/v1/deals",
        route_handlers=[create_deal, list_deals, get_deal, change_deal, pause_deal, resume_deal, end_deal],
        tags=["deals"],
    )
]
