"""`GET /v1/orders/{id}/receipt`: what an order cost, and how that came about."""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.params import FromPath

from pintuan.auth import requires_role
from pintuan.bodies import ApiRequest
from pintuan.errors import NotFound
from pintuan.etag import ETAG_HEADERS, NOT_MODIFIED, conditional
from pintuan.orders.placing import buyer_of
from pintuan.parameters import InjectedResources
from pintuan.receipts import store
from pintuan.receipts.schemas import Receipt


@get(
    "/v1/orders/{order_id:str}/receipt",
    tags=["orders"],
    guards=[requires_role("buyer")],
    summary="What one of my orders cost, and why",
    response_headers=ETAG_HEADERS,
    responses=NOT_MODIFIED,
)
async def get_receipt(
    order_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[Receipt]:
    """Answers everything needed to work the charge out by hand, in any state, with its entity tag."""
    receipt = await store.select_receipt(resources.pool, order_id, buyer_of(request))
    if receipt is None:
        raise NotFound("order")
    return conditional(request, receipt)


HANDLERS: Final = [get_receipt]
