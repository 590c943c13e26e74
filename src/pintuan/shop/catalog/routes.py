"""`/v1/products`."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response, Router, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from pintuan.base.auth import SELLERS, check_role, requires_role
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
from pintuan.shop.catalog.schemas import NewProduct, Product, ProductChange, ProductFilter

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
    """Adds a product of the merchant who calls; with its variants it has at most 256 KiB."""
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
    Currency and prices are those of any variant. Of pictures there are the first three. A cursor counts for
    the filters it was given with.
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
    listed = await service.list_products(
        resources.pool, wanted, request.user, after=decode_key_cursor(cursor, scope), limit=limit + 1
    )
    page = key_page_of(
        listed.rows,
        limit=limit,
        scope=scope,
        item=lambda row: row[1],
        place=lambda row: (row[0], row[1].id),
        is_cut=listed.is_cut,
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

    A list price is that of deals to come: a deal keeps the one it was made at. A product must not grow beyond
    256 KiB with its variants. A merchant makes at most 120 such changes a minute.
    """
    return await changes.change_product(
        resources.pool,
        check_role(request.user, SELLERS),
        product_id,
        data,
        is_paced=resources.settings.rate_limits,
    )


HANDLERS: Final = [
    Router(
        "/v1/products",
        route_handlers=[create_product, list_products, get_product, change_product],
        tags=["products"],
    ),
]
