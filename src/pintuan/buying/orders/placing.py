"""The common part of routes that place an order: who calls, under which key, and how the order is
answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.openapi.datastructures import ResponseSpec

from pintuan.base.auth import check_role
from pintuan.buying.groups.schemas import Order
from pintuan.buying.orders import service
from pintuan.http.created import created
from pintuan.http.parameters import require_idempotency_key

if TYPE_CHECKING:
    from groups.placement import Verb
    from pintuan.base.process import Resources
    from pintuan.buying.orders.schemas import NewOrder
    from pintuan.http.bodies import ApiRequest

BUYERS: Final = frozenset({"buyer"})
REPLAYED: Final = 200
# The entry in the contract of a route that places, beside the order it created.
REPLAY: Final = {
    REPLAYED: ResponseSpec(
        Order,
        description="The key was used before with the same body: the order as it is now.",
        generate_examples=False,
    )
}


async def place_order(
    resources: Resources,
    request: ApiRequest,
    body: NewOrder,
    idempotency_key: str | None,
    *,
    verb: Verb,
    deal_id: str = "",
    group_id: str | None = None,
) -> Response[Order]:
    """Answers 201 with the order, or 200 with the order as it is now when the key had been recorded.

    Raises IdempotencyKeyMissing, InvalidInput, OfferChanged, and the exceptions of
    `groups.engine.GroupEngine.place`.
    """
    buyer_id = buyer_of(request)
    placement = service.placement_of(
        buyer_id,
        body,
        resources.gateway_rules,
        verb=verb,
        request_id=request_id_of(request, buyer_id, idempotency_key),
        deal_id=deal_id,
        group_id=group_id,
    )
    await service.check_offer(resources.pool, body.offer_id, placement)
    order, replayed = await service.place(
        resources.pool, resources.engine, placement, share_base=resources.settings.share_base
    )
    return Response(order, status_code=REPLAYED) if replayed else created(order, f"/v1/orders/{order.id}")


def buyer_of(request: ApiRequest) -> str:
    """Returns the buyer who calls; raises Unauthenticated or Forbidden."""
    return check_role(request.user, BUYERS).subject


def request_id_of(request: ApiRequest, buyer_id: str, idempotency_key: str | None) -> bytes:
    """Returns what principal, call and key are remembered under, 16 bytes; raises IdempotencyKeyMissing."""
    key = require_idempotency_key(idempotency_key)
    return service.hash_request(buyer_id, request.method, request.scope["path"], key)
