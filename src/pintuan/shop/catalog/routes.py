"""`/v1/products`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from litestar import Response, Router, get, patch, post
from litestar.exceptions import InternalServerException
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath, JSONBody, QueryParameter

from pintuan.base.auth import SELLERS, check_role, requires_role
from pintuan.base.errors import ClientGone
from pintuan.http.bodies import ApiRequest
from pintuan.http.created import LOCATION_HEADERS, created
from pintuan.http.etag import ETAG_HEADERS, NOT_MODIFIED, conditional
from pintuan.http.filters import CurrencyParameter, MerchantParameter, PriceParameter, QueryText, query_of
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
from pintuan.shop.catalog import changes, service
from pintuan.shop.catalog.schemas import ImportResult, NewProduct, Product, ProductChange, ProductFilter
from pintuan.shop.feeds.uploads import MEDIA_TYPES, UPLOAD_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CurrencyAssumedParameter = Annotated[
    str | None,
    QueryParameter(
        pattern="^[A-Z]{3}$",
        max_length=3,
        description="ISO 4217 code of prices that name none; the marketplace's own when left out.",
    ),
]
OnDealParameter = Annotated[
    bool | None, QueryParameter(description="Only products with an active deal, or only those without.")
]


@post(
    "/",
    guards=[requires_role("merchant")],
    response_headers=LOCATION_HEADERS,
    summary="Add a product with its variants",
)
async def create_product(
    data: JSONBody[NewProduct], request: ApiRequest, resources: InjectedResources
) -> Response[Product]:
    """Adds a product of the merchant who calls."""
    merchant = check_role(request.user, SELLERS)
    product = await service.create_product(resources.pool, merchant.subject, data)
    return created(product, f"/v1/products/{product.id}")


@get(
    "/",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
    summary="Products, newest first, by words and filters",
)
async def list_products(
    request: ApiRequest,
    resources: InjectedResources,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
    q: QueryText = None,
    merchant_id: MerchantParameter = None,
    currency: CurrencyParameter = None,
    price_min: PriceParameter = None,
    price_max: PriceParameter = None,
    on_deal: OnDealParameter = None,
) -> Response[Page[Product]]:
    """Answers a page of everybody's products that pass all filters, with its entity tag.

    Hidden products are listed for the merchant they belong to, who filters by their own `merchant_id`.
    Currency and prices are those of any variant. A cursor counts for the filters it was given with.
    """
    wanted = ProductFilter(
        q=query_of(q),
        merchant_id=merchant_id,
        currency=currency,
        price_min=price_min,
        price_max=price_max,
        on_deal=on_deal,
    )
    scope = scope_of("products", wanted)
    rows = await service.list_products(
        resources.pool, wanted, request.user, after=decode_key_cursor(cursor, scope), limit=limit + 1
    )
    page = key_page_of(
        rows, limit=limit, scope=scope, item=lambda row: row[1], place=lambda row: (row[0], row[1].id)
    )
    return conditional(request, page)


@get("/{product_id:str}", response_headers=ETAG_HEADERS, responses=NOT_MODIFIED, summary="One product")
async def get_product(
    product_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[Product]:
    """Answers a product with its variants and its entity tag; a hidden one to its merchant alone."""
    return conditional(request, await service.show_product(resources.pool, product_id, request.user))


@patch("/{product_id:str}", guards=[requires_role("merchant")], summary="Change a product or its variants")
async def change_product(
    product_id: FromPath[str],
    data: JSONBody[ProductChange],
    request: ApiRequest,
    resources: InjectedResources,
) -> Product:
    """Changes what is given; the next import writes what the feed says over it.

    A list price is that of deals to come: a deal keeps the one it was made at.
    """
    return await changes.change_product(resources.pool, check_role(request.user, SELLERS), product_id, data)


@dataclass
class _FeedBody(Operation):
    """An operation whose body is a feed, which no parameter of the handler stands for."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            description="The feed; its content shows the format, up to 64 MiB.",
            required=True,
            content={name: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING)) for name in MEDIA_TYPES},
        )


@post(
    "/",
    guards=[requires_role("merchant")],
    operation_class=_FeedBody,
    request_max_body_size=UPLOAD_BYTES_MAX,
    status_code=200,
    summary="Import a product feed",
)
async def import_feed(
    request: ApiRequest, resources: InjectedResources, currency: CurrencyAssumedParameter = None
) -> ImportResult:
    """Takes CSV or TSV with Google's or Meta's column names, Shopify's product CSV, RSS 2.0 or Atom.

    Answers when all is imported, or after five minutes with what was; hanging up ends the import. A merchant
    has one at a time. Rows that cannot be kept are told with their line, the others are kept. The same feed
    again changes only what differs.
    """
    merchant = check_role(request.user, SELLERS)
    return await resources.uploads.take(
        resources.pool,
        merchant.subject,
        _arriving(request),
        content_type=request.headers.get("content-type", ""),
        currency=currency or resources.settings.default_currency,
        until_gone=partial(_until_gone, request),
    )


async def _until_gone(request: ApiRequest) -> None:
    """Returns when the caller has hung up; all of the body has arrived by then."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _arriving(request: ApiRequest) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except InternalServerException as error:
        # The other reason for it is a body read before, which nothing here does.
        raise ClientGone from error


ROUTES: Final = [
    Router(
        "/v1/products",
        route_handlers=[create_product, list_products, get_product, change_product],
        tags=["products"],
    ),
    Router("/v1/merchant/imports", route_handlers=[import_feed], tags=["merchants"]),
]
