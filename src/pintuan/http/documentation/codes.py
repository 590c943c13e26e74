"""Which problem codes an operation may answer with, and how its author says so.

Most follow from the operation itself: one with a body can be too large, one with a guard can be forbidden.
The author names the codes its noun adds: `opt=problem_codes("group_full", "sold_out")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pintuan.base.auth.middleware import PUBLIC_OPTION
from pintuan.http.documentation.parameters import IDEMPOTENCY_HEADER
from pintuan.http.problems import kinds

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

PROBLEM_CODES_OPTION: Final = "problem_codes"


def problem_codes(*codes: str) -> dict[str, Any]:
    """Returns the `opt` of a handler that may answer with these codes beside the ones every such call has."""
    return {PROBLEM_CODES_OPTION: codes}


def codes_of(handler: HTTPRouteHandler, operation: dict[str, Any]) -> set[str]:
    """Returns every code the operation may answer with; `operation` is its OpenAPI object.

    Raises:
        ValueError: a code that its route names is not in the table of `pintuan.http.problems`.
    """
    unknown = {*handler.opt.get(PROBLEM_CODES_OPTION, ())} - {kind.code for kind in kinds()}
    if unknown:
        raise ValueError(f"{handler} names no problem codes: {', '.join(sorted(unknown))}")
    codes = {"internal", "overloaded", *handler.opt.get(PROBLEM_CODES_OPTION, ())}
    parameters = operation.get("parameters", [])
    if not handler.opt.get(PUBLIC_OPTION):
        codes |= {"unauthenticated", "rate_limited"}
    if handler.resolve_guards():
        codes.add("forbidden")
    if not handler.opt.get(PUBLIC_OPTION) or parameters or "requestBody" in operation:
        # A call that takes no parameter refuses one.
        codes.add("invalid")
    if any(parameter["in"] == "path" for parameter in parameters):
        codes.add("not_found")
    if "requestBody" in operation:
        codes |= {"too_large", "unsupported_media_type"}
    if any(parameter["name"] == IDEMPOTENCY_HEADER for parameter in parameters):
        codes |= {"idempotency_key_missing", "idempotency_in_flight", "idempotency_key_reused"}
    return codes
