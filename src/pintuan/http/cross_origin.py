"""Lets web pages of other hosts call the API (Fetch standard, section 3.2 "HTTP CORS protocol").

Tokens travel in `Authorization` and cookies mean nothing to the API, so credentials are never allowed.
Without the setting nothing is added, and browsers keep such pages out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar.enums import ScopeType

from pintuan.base.settings.values import ANY_ORIGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

ORIGIN: Final = b"origin"
_VARY: Final = (b"vary", b"origin")
_ALLOW_ORIGIN: Final = b"access-control-allow-origin"
# The methods and headers of calls, beside those a page may send anyway.
_SENT: Final = (
    b"access-control-allow-headers",
    b"authorization, content-type, idempotency-key, if-none-match, last-event-id, x-request-id",
)
# The headers of answers that a page may read, beside those it may read anyway.
_READ: Final = (
    b"access-control-expose-headers",
    b"etag, link, location, retry-after, www-authenticate, x-request-id",
)
# Chromium keeps an answer for two hours at most.
_MAX_AGE: Final = (b"access-control-max-age", b"7200")


class CrossOrigin:
    """ASGI layer around the application; `origins` may call, or everybody's pages where it holds `*`."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._admits_all = ANY_ORIGIN in origins
        self._origins = frozenset(origin.encode("ascii") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the call on, and says in its answer whose pages may read it."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        sent = dict(scope["headers"])
        origin = sent.get(ORIGIN)
        asks_before = scope["method"] == "OPTIONS" and b"access-control-request-method" in sent

        async def send_with_origin(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ())]
                message["headers"] = [*headers, *self._headers_for(origin, headers, asks_before=asks_before)]
            await send(message)

        await self._app(scope, receive, send_with_origin)

    def _headers_for(
        self, origin: bytes | None, answered: Sequence[tuple[bytes, bytes]], *, asks_before: bool
    ) -> list[tuple[bytes, bytes]]:
        """Returns what is added to an answer; one that any page may read is the same for all of them."""
        vary = [] if self._admits_all else [_VARY]
        if origin is None or not (self._admits_all or origin in self._origins):
            return vary
        added = [(_ALLOW_ORIGIN, b"*" if self._admits_all else origin), *vary]
        if not asks_before:
            return [*added, _READ]
        methods = next((value for name, value in answered if name == b"allow"), b"")
        return [*added, (b"access-control-allow-methods", methods), _SENT, _MAX_AGE]
