"""A payment gateway whose calls are spans; it changes nothing else about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pintuan.base.telemetry.tracing.spans import Tracing
    from pintuan.money.payments.gateway import (
        Answer,
        AuthoriseCall,
        CaptureCall,
        Gateway,
        Payment,
        RefundCall,
        VoidCall,
    )


class TracedGateway:
    """Passes every call on to another gateway."""

    def __init__(self, gateway: Gateway, tracing: Tracing) -> None:
        self._gateway = gateway
        self._tracing = tracing

    @property
    def authorisation_lifetime_ms(self) -> int:
        """The other gateway's answer."""
        return self._gateway.authorisation_lifetime_ms

    async def authorise(self, call: AuthoriseCall) -> Answer:
        """Reserves money."""
        with self._tracing.gateway_call("authorise", call.reference):
            return await self._gateway.authorise(call)

    async def capture(self, call: CaptureCall) -> Answer:
        """Takes money that was reserved."""
        with self._tracing.gateway_call("capture", call.reference):
            return await self._gateway.capture(call)

    async def void(self, call: VoidCall) -> Answer:
        """Lets go of money that was reserved."""
        with self._tracing.gateway_call("void", call.reference):
            return await self._gateway.void(call)

    async def refund(self, call: RefundCall) -> Answer:
        """Gives back money that was captured."""
        with self._tracing.gateway_call("refund", call.reference):
            return await self._gateway.refund(call)

    async def look_up(self, reference: str) -> Payment | None:
        """Returns what the gateway's books say."""
        with self._tracing.gateway_call("look_up", reference):
            return await self._gateway.look_up(reference)
