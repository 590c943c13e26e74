"""`POST /v1/payments/webhooks/{gateway}`: the webhook of a payment gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from litestar import Router, post
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath

from pintuan.base.auth.middleware import PUBLIC_OPTION
from pintuan.http.bodies import ApiRequest
from pintuan.http.parameters import InjectedResources
from pintuan.money.gateway_events import service

# Events of the kinds we ask for have a few KiB; the rest is room for the gateway to grow.
EVENT_SIZE_MAX: Final = 256 * 1024


@dataclass
class _EventBody(Operation):
    """An operation whose body is the gateway's, and is read as the bytes that were signed."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            description="The event, as the gateway signed it.",
            required=True,
            content={
                "application/json": OpenAPIMediaType(
                    schema=Schema(type=OpenAPIType.OBJECT), example={"id": "evt_1", "object": "event"}
                )
            },
        )


@post(
    "/{gateway:str}",
    operation_class=_EventBody,
    request_max_body_size=EVENT_SIZE_MAX,
    status_code=204,
    summary="Hear of a payment from its gateway",
)
async def receive_gateway_event(
    gateway: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> None:
    """Takes events that the gateway in use has signed, each as often and in whichever order they come.

    An event makes us look at the payment and decides nothing. The sandbox sends none.
    """
    event = service.read_event(
        resources.settings,
        gateway,
        request.headers,
        await request.body(),
        now_s=resources.clock.now_s(),
    )
    if await service.keep_event(resources.pool, gateway, event):
        resources.doorbells.ring("payments")


HANDLERS: Final = [
    Router(
        "/v1/payments/webhooks",
        route_handlers=[receive_gateway_event],
        tags=["payments"],
        opt={PUBLIC_OPTION: True},
    )
]
