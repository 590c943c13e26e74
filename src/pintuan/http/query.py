"""Refuses query parameters that a call does not have, as unknown fields of bodies are refused.

A misspelt filter would otherwise look like one that matches everything. Links that are passed around grow
parameters on the way. Pages for people ignore all unknown ones, calls that read ignore those of trackers.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl

from litestar.routes import HTTPRoute

from pintuan.base.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.types import ASGIApp, Receive, Scope, Send
    from litestar.typing import FieldDefinition

API_PREFIX: Final = "/v1/"
PARAMETER_COUNT_MAX: Final = 64
# RFC 3339 section 5.6; whether there is such a day, the framework finds out.
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_KNOWN_OPTION: Final = "query_parameters"
_READS: Final = frozenset({"GET", "HEAD"})
# Networks, shops and newsletters mark the links they pass on with these.
_TRACKER: Final = re.compile(
    r"utm_\w+|fbclid|gclid|gclsrc|gbraid|wbraid|dclid|msclkid|ttclid|twclid|igshid|igsh|yclid|srsltid|li_fat_id"
    r"|mc_[ce]id|_hs(?:enc|mi)|_ga|_gl|sc_cid|epik|rdt_cid"
)


class KnownQuery:
    """Pure ASGI middleware; it looks at calls whose parameters `note_parameters` has noted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the call on.

        Raises:
            InvalidInput: it has a parameter that is unknown, one twice that takes one value, or a value that
                would be read as something else.
        """
        if scope.get("query_string"):
            known = scope["route_handler"].opt.get(_KNOWN_OPTION)
            if known is not None:
                _check(scope["query_string"], known, is_read=scope.get("method") in _READS)
        await self._app(scope, receive, send)


class _Parameter(NamedTuple):
    """The values a parameter takes: many or one, any text or one that is parsed."""

    is_repeatable: bool
    is_text: bool
    is_time: bool


def note_parameters(app: Litestar) -> None:
    """Notes at each handler of the API which query parameters it has."""
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path.startswith(API_PREFIX):
            for handler, model in route.route_handler_map.values():
                fields = handler.parsed_fn_signature.parameters
                handler.opt[_KNOWN_OPTION] = {
                    parameter.field_alias: _Parameter(
                        parameter.is_sequence,
                        is_text=_holds(fields.get(parameter.field_name), str),
                        is_time=_holds(fields.get(parameter.field_name), datetime),
                    )
                    for parameter in model.expected_query_params
                }


def _holds(field: FieldDefinition | None, type_: type) -> bool:
    """Says whether a value of the field may be of this very type."""
    return field is not None and (
        field.annotation is type_ or any(_holds(inner, type_) for inner in field.inner_types)
    )


def _check(query_string: bytes, known: dict[str, _Parameter], *, is_read: bool) -> None:
    try:
        pairs = parse_qsl(
            query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=PARAMETER_COUNT_MAX
        )
    except ValueError as error:
        raise InvalidInput.of("query", f"has more than {PARAMETER_COUNT_MAX} parameters") from error
    names = [name for name, _ in pairs]
    errors = [
        FieldError(name, "is not a parameter of this call")
        for name in names
        if name not in known and not (is_read and _TRACKER.fullmatch(name))
    ]
    errors += [
        FieldError(name, "is given more than once")
        for name in sorted(set(names))
        if names.count(name) > 1 and name in known and not known[name].is_repeatable
    ]
    errors += [
        FieldError(name, fault)
        for name, value in pairs
        if name in known and (fault := _fault_of(value, known[name])) is not None
    ]
    if errors:
        raise InvalidInput(errors)


def _fault_of(value: str, parameter: _Parameter) -> str | None:
    """The fault of a value that the framework would read as another value than was written."""
    if parameter.is_time and not _TIME.fullmatch(value):
        # It takes numbers for seconds since 1970, and a time without offset for one anywhere.
        return "must be a time with an offset, such as 2030-01-01T12:00:00Z"
    if value.lower() == "null" and not parameter.is_text:
        # It takes the word for "not given", which a caller who wrote it hardly meant.
        return "is not a value of this parameter"
    return None
