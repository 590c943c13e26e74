"""Refuses query parameters that a call does not have, as unknown fields of bodies are refused.

A misspelt filter would otherwise look like one that matches everything. Pages for people ignore what they do
not know: links that are passed around grow such parameters on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl

from litestar.routes import HTTPRoute

from pintuan.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.types import ASGIApp, Receive, Scope, Send
    from litestar.typing import FieldDefinition

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
            InvalidInput: it has a parameter that is unknown, one twice that takes one value, or one that is
                `null`.
        """
        if scope.get("query_string"):
            known = scope["route_handler"].opt.get(_KNOWN_OPTION)
            if known is not None:
                _check(scope["query_string"], known)
        await self._app(scope, receive, send)


class _Parameter(NamedTuple):
    """What a call takes: many values or one, any text or something that text is read as."""

    is_repeatable: bool
    is_text: bool


def note_parameters(app: Litestar) -> None:
    """Notes at each handler of the API which query parameters it has."""
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path.startswith(API_PREFIX):
            for handler, model in route.route_handler_map.values():
                fields = handler.parsed_fn_signature.parameters
                handler.opt[_KNOWN_OPTION] = {
                    parameter.field_alias: _Parameter(
                        parameter.is_sequence, _is_text(fields.get(parameter.field_name))
                    )
                    for parameter in model.expected_query_params
                }


def _is_text(field: FieldDefinition | None) -> bool:
    return field is not None and (field.annotation is str or any(map(_is_text, field.inner_types)))


def _check(query_string: bytes, known: dict[str, _Parameter]) -> None:
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
        if names.count(name) > 1 and name in known and not known[name].is_repeatable
    ]
    # The framework reads this word as "not given", which a caller who wrote it hardly meant.
    errors += [
        FieldError(name, "is not a value of this parameter")
        for name, value in pairs
        if value.lower() == "null" and name in known and not known[name].is_text
    ]
    if errors:
        raise InvalidInput(errors)
