"""HTTP's rules about methods that the framework leaves out: HEAD, and the methods a path allows.

RFC 9110: HEAD answers like GET, without the content (section 9.3.2). OPTIONS and a 405 name every method of
the resource in Allow (section 10.2.1).
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Final, cast

from litestar.enums import HttpMethod, ScopeType
from litestar.exceptions import MethodNotAllowedException, NotFoundException
from litestar.routes import HTTPRoute
from litestar.utils import normalize_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar import Litestar
    from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

_NO_CONTENT: Final = 204
_NO_MORE_BODY: Final[Message] = {"type": "http.response.body", "body": b"", "more_body": False}


def allow_of(methods: Iterable[str]) -> str:
    """Returns the value of Allow for a path whose handlers have these methods."""
    allowed = {str(method) for method in methods}
    if "GET" in allowed:
        allowed.add("HEAD")
    return ", ".join(sorted(allowed))


class Methods:
    """ASGI layer around the application; bare ASGI handlers behind it see HEAD as GET, too.

    The framework's own answer to OPTIONS knows the methods of the first handler of a path alone.
    """

    def __init__(self, app: Litestar) -> None:
        self._app: ASGIApp = app.asgi_handler
        self._router = app.asgi_router
        self._allowed = _allowed_by_template(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers OPTIONS, leaves the content out of answers to HEAD, and passes on everything else."""
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
                # The server takes the response for complete, so that a stream hears of its reader's end.
                ended = True
                await send(_NO_MORE_BODY)

        try:
            await self._app(asked, receive, send_without_content)
        finally:
            if "path_template" in asked:
                scope["path_template"] = asked["path_template"]

    async def _options(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A question about allowed methods needs no token: a browser asks before it sends one."""
        template = self._template_of(scope["path"])
        if template is None:
            await self._app(scope, receive, send)
            return
        scope["path_template"] = template
        headers = [(b"allow", self._allowed[template])]
        await send({"type": "http.response.start", "status": _NO_CONTENT, "headers": headers})
        await send(_NO_MORE_BODY)

    def _template_of(self, path: str) -> str | None:
        try:
            *_, template = self._router.handle_routing(path=normalize_path(path), method=HttpMethod.OPTIONS)
        except (NotFoundException, MethodNotAllowedException):
            return None
        return template if template in self._allowed else None


def _allowed_by_template(app: Litestar) -> dict[str, bytes]:
    """The value of Allow for each path template."""
    methods: dict[str, set[str]] = {}
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            methods.setdefault(route.path_format, set()).update(route.route_handler_map)
    return {path: allow_of(names).encode("ascii") for path, names in methods.items()}
