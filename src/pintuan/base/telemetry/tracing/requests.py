"""The outermost span of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar.enums import ScopeType

from pintuan.base.telemetry.metrics import UNMATCHED_ROUTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from pintuan.base.telemetry.tracing.spans import Tracing

# Requests that machines make every few seconds would bury the rest.
_QUIET: Final = ("/health/", "/metrics")
# Each has the length given by W3C Trace Context (sections 3.2.2 and 3.3.1.5); a longer one is as good as
# absent. Spaces in a longer state would take the library's pattern quadratic time.
_CARRIERS: Final = {b"traceparent": 55, b"tracestate": 512}
# The status a proxy logs when the client hung up before there was an answer.
_CLIENT_GONE_STATUS: Final = 499


class TracedRequests:
    """ASGI layer that follows requests; `tracing` is asked for at each, because it opens with the stores."""

    def __init__(self, app: ASGIApp, tracing: Callable[[], Tracing | None]) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Surrounds a request with a span that is named by its route once that is known."""
        if scope["type"] != ScopeType.HTTP or scope["path"].startswith(_QUIET):
            await self._app(scope, receive, send)
            return
        tracing = self._tracing()
        if tracing is None:
            await self._app(scope, receive, send)
            return
        status = _CLIENT_GONE_STATUS

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        headers = {
            name.decode("ascii"): value.decode("latin-1")
            for name, value in scope["headers"]
            if len(value) <= _CARRIERS.get(name, -1)
        }
        with tracing.request(scope["method"], headers) as span:
            try:
                await self._app(scope, receive, send_noting)
            finally:
                if span is not None:
                    span.answered(scope.get("path_template") or UNMATCHED_ROUTE, status)
