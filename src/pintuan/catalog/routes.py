"""`/v1/products`."""

from __future__ import annotations

from typing import Final

from litestar import Router, get, post
from litestar.params import FromPath, JSONBody

from pintuan.auth import check_role, requires_role
from pintuan.bodies import ApiRequest
from pintuan.catalog import service
from pintuan.catalog.schemas import NewProduct, Product
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


@post("/", guards=[requires_role("merchant")], summary="Add a product with its variants")
async def create_product(
    data: JSONBody[NewProduct], request: ApiRequest, resources: InjectedResources
) -> Product:
    """Adds a product of the merchant who calls."""
    merchant = check_role(request.user, SELLERS)
    return await service.create_product(resources.pool, merchant.subject, data)


@get("/", summary="Products, newest first")
async def list_products(
    resources: InjectedResources, limit: LimitParameter = LIMIT_DEFAULT, cursor: CursorParameter = None
) -> Page[Product]:
    """Answers a page of everybody's products."""
    rows = await service.list_products(resources.pool, after=decode_cursor(cursor), limit=limit + 1)
    return page_of(rows, limit=limit, item=lambda row: row, place=lambda row: (row.created_at, row.id))


@get("/{product_id:str}", summary="One product")
async def get_product(product_id: FromPath[str], resources: InjectedResources) -> Product:
    """Answers a product with its variants."""
    return await service.get_product(resources.pool, product_id)


ROUTES: Final = [
    Router("/v1/products", route_handlers=[create_product, list_products, get_product], tags=["products"])
]
