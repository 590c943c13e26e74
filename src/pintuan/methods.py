"""What HTTP says of methods and the framework leaves out: HEAD, and what a path allows in all.

RFC 9110: HEAD answers what GET would, without the content (section 9.3.2); OPTIONS and a 405 name every
method of the resource in Allow (section 10.2.1).
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Final, cast

from litestar.enums import HttpMethod, ScopeType
from litestar.routes import HTTPRoute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from litestar import Litestar
    from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Message, Receive, Scope, Send

_GONE: Final[HTTPReceiveMessage] = {"type": "http.disconnect"}
_NO_MORE_BODY: Final[Message] = {"type": "http.response.body", "body": b"", "more_body": False}


def allow_of(methods: Iterable[str]) -> str:
    """Returns the value of Allow for a path whose handlers have these methods."""
    allowed = {str(method) for method in methods}
    if "GET" in allowed:
        allowed.add("HEAD")
    return ", ".join(sorted(allowed))


def allowed_methods(app: Litestar) -> Mapping[str, bytes]:
    """Returns the value of Allow for each path template of the application."""
    methods: dict[str, set[str]] = {}
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            methods.setdefault(route.path_format, set()).update(route.route_handler_map)
    return {path: allow_of(names).encode("ascii") for path, names in methods.items()}


class Methods:
    """ASGI layer around the application; bare ASGI handlers behind it see HEAD as GET, too.

    `allowed` is what `allowed_methods` returns: the framework's own answer to OPTIONS knows the methods of
    the first handler of a path alone.
    """

    def __init__(self, app: ASGIApp, allowed: Mapping[str, bytes]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on but the content of answers to HEAD, and completes those to OPTIONS."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._head(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await self._options(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The server must go on seeing HEAD, the application GET.
        asked = cast("HTTPScope", copy(scope))
        asked["method"] = HttpMethod.GET
        ended = False

        async def send_without_content(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start":
                await send(message)
            elif not ended:
                ended = True
                await send(_NO_MORE_BODY)

        async def receive_until_ended() -> HTTPReceiveMessage:
            # A stream learns here that nobody waits for more of it.
            return _GONE if ended else cast("HTTPReceiveMessage", await receive())

        try:
            await self._app(asked, receive_until_ended, send_without_content)
        finally:
            if "path_template" in asked:
                scope["path_template"] = asked["path_template"]

    async def _options(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                allowed = self._allowed.get(scope.get("path_template", ""))
                if allowed is not None:
                    others = [header for header in message["headers"] if header[0].lower() != b"allow"]
                    message["headers"] = [*others, (b"allow", allowed)]
            await send(message)

        await self._app(scope, receive, send_allowed)
