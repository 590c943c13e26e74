"""`/v1/webhook-endpoints`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar import Router, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from pintuan.base.auth import SELLERS, check_role, requires_role
from pintuan.http.bodies import ApiRequest
from pintuan.http.documentation.codes import problem_codes
from pintuan.http.pagination import (
    LIMIT_DEFAULT,
    CursorParameter,
    LimitParameter,
    Page,
    decode_cursor,
    page_of,
)
from pintuan.http.parameters import InjectedResources
from pintuan.selling.webhooks import service
from pintuan.selling.webhooks.schemas import (
    MadeWebhookEndpoint,
    NewWebhookEndpoint,
    Replay,
    Replayed,
    RotatedSecret,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpointChange,
)

if TYPE_CHECKING:
    from pintuan.base.process import Resources

ACCEPTED: Final = 202


@post("/", opt=problem_codes("limit_reached"), summary="Make a webhook endpoint")
async def create_webhook_endpoint(
    data: JSONBody[NewWebhookEndpoint], request: ApiRequest, resources: InjectedResources
) -> MadeWebhookEndpoint:
    """Makes an endpoint that is told of events from now on; `secret` is shown this once."""
    merchant_id = _merchant(request)
    await service.count_change(resources.pool, merchant_id)
    await _check_url(resources, data.url)
    return await service.create_endpoint(resources.pool, resources.keyring, merchant_id, data)


@get("/", summary="The merchant's webhook endpoints, newest first")
async def list_webhook_endpoints(
    request: ApiRequest,
    resources: InjectedResources,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
) -> Page[WebhookEndpoint]:
    """Answers a page of the merchant's own endpoints, without their secrets."""
    rows = await service.list_endpoints(
        resources.pool, _merchant(request), after=decode_cursor(cursor), limit=limit + 1
    )
    return page_of(rows, limit=limit, item=lambda row: row, place=lambda row: (row.created_at, row.id))


@get("/{endpoint_id:str}", summary="One webhook endpoint")
async def get_webhook_endpoint(
    endpoint_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> WebhookEndpoint:
    """Answers how an endpoint stands."""
    return await service.get_endpoint(resources.pool, _merchant(request), endpoint_id)


@patch("/{endpoint_id:str}", summary="Change a webhook endpoint")
async def change_webhook_endpoint(
    endpoint_id: FromPath[str],
    data: JSONBody[WebhookEndpointChange],
    request: ApiRequest,
    resources: InjectedResources,
) -> WebhookEndpoint:
    """Changes what is given; a paused endpoint goes on with `{"enabled": true}`."""
    merchant_id = _merchant(request)
    await service.count_change(resources.pool, merchant_id)
    if isinstance(data.url, str):
        await _check_url(resources, data.url)
    changed = await service.change_endpoint(resources.pool, merchant_id, endpoint_id, data)
    resources.doorbells.ring("webhooks")
    return changed


@delete("/{endpoint_id:str}", summary="Delete a webhook endpoint")
async def delete_webhook_endpoint(
    endpoint_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> None:
    """Removes an endpoint with its secrets and its log; what is on its way may still arrive."""
    await service.delete_endpoint(resources.pool, _merchant(request), endpoint_id)


@post(
    "/{endpoint_id:str}/rotate-secret",
    status_code=200,
    opt=problem_codes("limit_reached"),
    summary="Give a webhook endpoint a new secret",
)
async def rotate_webhook_secret(
    endpoint_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> RotatedSecret:
    """Makes a new secret, shown this once; for 24 hours messages are signed with the former one as well."""
    return await service.rotate_secret(resources.pool, resources.keyring, _merchant(request), endpoint_id)


@post("/{endpoint_id:str}/test", status_code=ACCEPTED, summary="Send a test event")
async def ping_webhook_endpoint(
    endpoint_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> WebhookDelivery:
    """Sends a `ping` to the endpoint, whatever types it is told of; its delivery is in the log."""
    delivery = await service.ping(resources.pool, _merchant(request), endpoint_id)
    resources.doorbells.ring("webhooks")
    return delivery


@get("/{endpoint_id:str}/deliveries", summary="What was sent to a webhook endpoint, newest first")
async def list_webhook_deliveries(
    endpoint_id: FromPath[str],
    request: ApiRequest,
    resources: InjectedResources,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
) -> Page[WebhookDelivery]:
    """Answers a page of the endpoint's log of the last 30 days."""
    rows = await service.list_deliveries(
        resources.pool, _merchant(request), endpoint_id, after=decode_cursor(cursor), limit=limit + 1
    )
    return page_of(rows, limit=limit, item=lambda row: row, place=lambda row: (row.created_at, row.id))


@post(
    "/{endpoint_id:str}/deliveries/{delivery_id:str}/replay",
    status_code=ACCEPTED,
    summary="Send one event again",
)
async def replay_webhook_delivery(
    endpoint_id: FromPath[str],
    delivery_id: FromPath[str],
    request: ApiRequest,
    resources: InjectedResources,
) -> WebhookDelivery:
    """Makes a delivery due at once, with all its attempts; its `webhook-id` stays."""
    delivery = await service.replay_delivery(resources.pool, _merchant(request), endpoint_id, delivery_id)
    resources.doorbells.ring("webhooks")
    return delivery


@post("/{endpoint_id:str}/replay", status_code=ACCEPTED, summary="Send the events of a time again")
async def replay_webhook_events(
    endpoint_id: FromPath[str],
    data: JSONBody[Replay],
    request: ApiRequest,
    resources: InjectedResources,
) -> Replayed:
    """Makes events of the types the endpoint is told of due at once, the oldest 1,000 or a few more.

    Those that were within the last minute are left as they are. A merchant may call it ten times a
    minute, and five times for one endpoint.
    """
    replayed = await service.replay_events(resources.pool, _merchant(request), endpoint_id, data)
    resources.doorbells.ring("webhooks")
    return replayed


def _merchant(request: ApiRequest) -> str:
    return check_role(request.user, SELLERS).subject


async def _check_url(resources: Resources, url: str) -> None:
    await service.check_url(url, resources.resolver, allows_loopback=resources.settings.env == "dev")


HANDLERS: Final = [
    Router(
        "/v1/webhook-endpoints",
        route_handlers=[
            create_webhook_endpoint,
            list_webhook_endpoints,
            get_webhook_endpoint,
            change_webhook_endpoint,
            delete_webhook_endpoint,
            rotate_webhook_secret,
            ping_webhook_endpoint,
            list_webhook_deliveries,
            replay_webhook_delivery,
            replay_webhook_events,
        ],
        guards=[requires_role("merchant")],
        tags=["webhook endpoints"],
    )
]
