"""Refuses query parameters that a call does not have, as unknown fields of bodies are refused.

A misspelt filter would otherwise look like one that matches everything. Pages for people ignore what they do
not know: links that are passed around grow such parameters on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from litestar.routes import HTTPRoute

from pintuan.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.types import ASGIApp, Receive, Scope, Send

API_PREFIX: Final = "/v1/"
PARAMETER_COUNT_MAX: Final = 64
_KNOWN_OPTION: Final = "query_parameters"


class KnownQuery:
    """Pure ASGI middleware; it looks at calls whose parameters `note_parameters` has noted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the call on.

        Raises:
            InvalidInput: it has a parameter that is unknown, or one twice that takes one value.
        """
        if scope.get("query_string"):
            known = scope["route_handler"].opt.get(_KNOWN_OPTION)
            if known is not None:
                _check(scope["query_string"], known)
        await self._app(scope, receive, send)


def note_parameters(app: Litestar) -> None:
    """Notes at each handler of the API which query parameters it has, and whether they may repeat."""
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path.startswith(API_PREFIX):
            for handler, model in route.route_handler_map.values():
                handler.opt[_KNOWN_OPTION] = {
                    parameter.field_alias: parameter.is_sequence for parameter in model.expected_query_params
                }


def _check(query_string: bytes, known: dict[str, bool]) -> None:
    try:
        pairs = parse_qsl(
            query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=PARAMETER_COUNT_MAX
        )
    except ValueError as error:
        raise InvalidInput.of("query", f"has more than {PARAMETER_COUNT_MAX} parameters") from error
    names = [name for name, _ in pairs]
    errors = [FieldError(name, "is not a parameter of this call") for name in names if name not in known]
    errors += [
        FieldError(name, "is given more than once")
        for name in sorted(set(names))
        if names.count(name) > 1 and known.get(name) is False
    ]
    if errors:
        raise InvalidInput(errors)
