"""`GET /v1/orders/{id}/receipt`: the price of an order, and its calculation."""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.params import FromPath

from pintuan.base.auth import requires_role
from pintuan.base.errors import NotFound
from pintuan.buying.orders.placing import buyer_of
from pintuan.http.bodies import ApiRequest
from pintuan.http.etag import ETAG_HEADERS, NOT_MODIFIED, conditional
from pintuan.http.parameters import InjectedResources
from pintuan.money.receipts import store
from pintuan.money.receipts.schemas import Receipt


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
