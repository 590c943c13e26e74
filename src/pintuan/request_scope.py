"""The outermost layer of every request: its id, its log line and its metrics."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Final

import structlog
from litestar.enums import ScopeType

from pintuan import metrics

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from pintuan.logs import RequestLog

REQUEST_ID_HEADER: Final = b"x-request-id"
_REQUEST_ID_BYTES: Final = 12
# Sane is what cannot break a log line, a header or a reader's patience.
_SANE_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
# Nothing we serve is to be guessed at by a browser.
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
# What a proxy logs when the client hung up before there was an answer; nobody receives it.
_CLIENT_GONE_STATUS: Final = 499


class RequestScope:
    """ASGI layer around the whole application, so that unknown routes are counted and identified too."""

    def __init__(self, app: ASGIApp, request_log: RequestLog) -> None:
        self._app = app
        self._request_log = request_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes over a sane `X-Request-Id` or makes one, echoes it, and reports the request when it ends."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        request_id = _request_id_of(scope)
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
            duration_s = time.perf_counter() - started_s
            route = scope.get("path_template") or metrics.UNMATCHED_ROUTE
            method = scope["method"]
            metrics.count_request(route=route, method=method, status=status, duration_s=duration_s)
            self._request_log.write(
                request_id=request_id,
                method=method,
                route=route,
                status=status,
                duration_ms=duration_s * 1000,
            )
            structlog.contextvars.unbind_contextvars("request_id")


def _request_id_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER and _SANE_REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return secrets.token_hex(_REQUEST_ID_BYTES)
