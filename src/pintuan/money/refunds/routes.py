"""`POST /v1/orders/{id}/refunds`: merchants give money back."""

from __future__ import annotations

from typing import Final

from litestar import Response, post
from litestar.params import FromPath, JSONBody

from pintuan.base.auth import SELLERS, check_role, requires_role
from pintuan.buying.groups.schemas import Order
from pintuan.buying.orders.placing import REPLAY, REPLAYED, request_id_of
from pintuan.buying.orders.service import digest_of, get_any_order
from pintuan.http.bodies import ApiRequest
from pintuan.http.created import CREATED
from pintuan.http.documentation.codes import problem_codes
from pintuan.http.parameters import IdempotencyKeyHeader, InjectedResources
from pintuan.money.refunds import service
from pintuan.money.refunds.schemas import NewRefund


@post(
    "/v1/orders/{order_id:str}/refunds",
    tags=["orders"],
    guards=[requires_role("merchant")],
    summary="Give money back",
    responses=REPLAY,
    opt=problem_codes("not_refundable"),
)
async def refund_order(
    order_id: FromPath[str],
    data: JSONBody[NewRefund],
    request: ApiRequest,
    resources: InjectedResources,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Response[Order]:
    """Gives back all or a part of what was captured; the group stays settled."""
    merchant = check_role(request.user, SELLERS)
    fresh = await service.ask_refund(
        resources.pool,
        order_id,
        data,
        merchant_id=None if merchant.role == "admin" else merchant.subject,
        asked_by=merchant.subject,
        request_id=request_id_of(request, merchant.subject, idempotency_key),
        body_digest=digest_of(data),
    )
    resources.doorbells.ring("payments")
    order = await get_any_order(resources.pool, order_id, share_base=resources.settings.share_base)
    return Response(order, status_code=CREATED if fresh else REPLAYED)


HANDLERS: Final = [refund_order]
