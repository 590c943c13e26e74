"""Calls of those who run a marketplace."""

from __future__ import annotations

from types import NoneType

import msgspec

from pintuan.client.caller import Caller
from pintuan.client.transport import Call, Part, quoted


class Status(msgspec.Struct, frozen=True):
    """The answer of a health check."""

    status: str


class OperatorCalls(Caller):
    """Health and metrics of the process that happens to answer, and the webhook of a payment gateway."""

    async def live(self) -> Status:
        """Returns as long as the process' event loop turns."""
        return await self.session.send(Call("GET", "/health/live", Status, signed=False))

    async def ready(self) -> Status:
        """Returns when the process can serve; otherwise ProblemError, whose `errors` name what fails."""
        return await self.session.send(Call("GET", "/health/ready", Status, signed=False))

    async def read_metrics(self) -> str:
        """Returns the metrics of all API processes in the Prometheus text format."""
        return (await self.session.send(Call("GET", "/metrics", Part, signed=False))).content.decode()

    async def receive_gateway_event(
        self, gateway: str, event: bytes, *, signature: str, header: str = "Stripe-Signature"
    ) -> None:
        """Hands on an event of the payment gateway, as it came and with the header that signs it."""
        path = f"/v1/payments/webhooks/{quoted(gateway)}"
        call = Call("POST", path, NoneType, content=event, headers={header: signature}, signed=False)
        await self.session.send(call)
