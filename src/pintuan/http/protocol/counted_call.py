"""A placing call that the application answers, counted while it is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

    from pintuan.http.protocol.placement_gate import PlacementGate


class CountedCall:
    """The application for one call that places, counted until it is answered.

    The work for a client that has gone counts until it ends.
    """

    __slots__ = ("_app", "_gate", "_has_left")

    def __init__(self, app: ASGI3Application, gate: PlacementGate, loop: asyncio.AbstractEventLoop) -> None:
        self._app, self._gate = app, gate
        gate.enter(loop)
        self._has_left = False

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answers, and ends being counted."""
        try:
            await self._app(scope, receive, send)
        finally:
            self.leave()

    def leave(self) -> None:
        """Ends being counted; doing it twice changes nothing."""
        if not self._has_left:
            self._has_left = True
            self._gate.leave()
