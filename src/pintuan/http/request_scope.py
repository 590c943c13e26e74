"""The outermost layer of every request: its id, its log line and its metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog
from litestar.enums import ScopeType

from pintuan.base.telemetry import metrics
from pintuan.base.telemetry.ended_request import EndedRequest
from pintuan.http.request_ids import REQUEST_ID_HEADER, new_request_id, sent_request_id

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from pintuan.base.telemetry.request_reports import RequestReports

# Nothing we serve is to be guessed at by a browser.
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
# The status a proxy logs when the client hung up before there was an answer; nobody receives it.
_CLIENT_GONE_STATUS: Final = 499


class RequestScope:
    """ASGI layer around the whole application, so that unknown routes are counted and identified too."""

    def __init__(self, app: ASGIApp, reports: RequestReports) -> None:
        self._app = app
        self._reports = reports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes over a sane `X-Request-Id` or makes one, echoes it, and reports the request when it ends."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        sent_id = sent_request_id(scope["headers"])
        request_id = new_request_id() if sent_id is None else sent_id.decode("ascii")
        structlog.contextvars.bind_contextvars(request_id=request_id)
        header = (REQUEST_ID_HEADER, request_id.encode("ascii"))
        status = _CLIENT_GONE_STATUS

        async def send_identified(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header, _NOSNIFF]
            await send(message)

        try:
            await self._app(scope, receive, send_identified)
        finally:
            route = scope.get("path_template") or metrics.UNMATCHED_ROUTE
            duration_s = time.perf_counter() - started_s
            self._reports.add(EndedRequest(request_id, scope["method"], route, status, duration_s))
            structlog.contextvars.unbind_contextvars("request_id")
