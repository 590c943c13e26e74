"""Calls of a merchant about the systems of theirs that are told of events."""

from __future__ import annotations

from pintuan.base.wire.page import Page
from pintuan.client.caller import Caller
from pintuan.client.transport import Call, quoted
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

_PATH = "/v1/webhook-endpoints"


class WebhookCalls(Caller):
    """Webhook endpoints of the merchant who calls."""

    async def create_webhook_endpoint(self, endpoint: NewWebhookEndpoint) -> MadeWebhookEndpoint:
        """Makes an endpoint; its secret is in this answer and in no other."""
        return await self.session.send(Call("POST", _PATH, MadeWebhookEndpoint, body=endpoint))

    async def list_webhook_endpoints(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[WebhookEndpoint]:
        """Returns a page of the merchant's endpoints, newest first."""
        query = {"limit": limit, "cursor": cursor}
        return await self.session.send(Call("GET", _PATH, Page[WebhookEndpoint], query=query))

    async def get_webhook_endpoint(self, endpoint_id: str) -> WebhookEndpoint:
        """Returns how an endpoint stands."""
        return await self.session.send(Call("GET", _of(endpoint_id), WebhookEndpoint))

    async def change_webhook_endpoint(
        self, endpoint_id: str, change: WebhookEndpointChange
    ) -> WebhookEndpoint:
        """Changes what is given; a paused endpoint goes on with `enabled=True`."""
        return await self.session.send(Call("PATCH", _of(endpoint_id), WebhookEndpoint, body=change))

    async def delete_webhook_endpoint(self, endpoint_id: str) -> None:
        """Ends an endpoint for good."""
        await self.session.send(Call("DELETE", _of(endpoint_id), type(None)))

    async def rotate_webhook_secret(self, endpoint_id: str) -> RotatedSecret:
        """Makes a new secret; the former one signs beside it for a day."""
        return await self.session.send(Call("POST", f"{_of(endpoint_id)}/rotate-secret", RotatedSecret))

    async def ping_webhook_endpoint(self, endpoint_id: str) -> WebhookDelivery:
        """Sends a test event."""
        return await self.session.send(Call("POST", f"{_of(endpoint_id)}/test", WebhookDelivery))

    async def list_webhook_deliveries(
        self, endpoint_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[WebhookDelivery]:
        """Returns a page of what was sent to an endpoint, newest first."""
        query = {"limit": limit, "cursor": cursor}
        return await self.session.send(
            Call("GET", f"{_of(endpoint_id)}/deliveries", Page[WebhookDelivery], query=query)
        )

    async def replay_webhook_delivery(self, endpoint_id: str, delivery_id: str) -> WebhookDelivery:
        """Sends one event again."""
        return await self.session.send(
            Call("POST", f"{_of(endpoint_id)}/deliveries/{quoted(delivery_id)}/replay", WebhookDelivery)
        )

    async def replay_webhook_events(self, endpoint_id: str, events: Replay) -> Replayed:
        """Sends the events of a time again, about a thousand; `continue_from` of the answer leads on."""
        return await self.session.send(Call("POST", f"{_of(endpoint_id)}/replay", Replayed, body=events))


def _of(endpoint_id: str) -> str:
    return f"{_PATH}/{quoted(endpoint_id)}"
