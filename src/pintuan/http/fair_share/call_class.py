"""Which class a call belongs to: calls of one class wait for each other, and for no other class.

Method and path decide, before anything is known of the caller. A path with an unusual spelling, or without a
route, is a read: there such a call does least harm.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final


class CallClass(StrEnum):
    """Every class; `pintuan.http.fair_share.limits` says how many of each are worked on at once."""

    PLACING = "placing"
    READS = "reads"
    SEARCH = "search"
    PAGES = "pages"
    CARDS = "cards"
    STREAMS = "streams"
    ACCOUNTS = "accounts"
    MERCHANTS = "merchants"
    EXPORTS = "exports"
    SHEETS = "sheets"
    IMPORTS = "imports"
    GATEWAY = "gateway"
    OPERATOR = "operator"


_GET: Final = frozenset({"GET", "HEAD"})
_POST: Final = frozenset({"POST"})
_ANY: Final[frozenset[str]] = frozenset()
_OTHER: Final = "other"
# Parameters that do not filter: such a list is read along an index.
_PLAIN_PARAMETERS: Final = re.compile(rb"(?:(?:limit|cursor)=[^&]*&?)*")
_FILTERED_LISTS: Final = frozenset({"/v1/products", "/v1/deals", "/v1/deals/*/groups"})

# Segments of a path, `*` for any one, and behind `**` for all that follow. The first rule that fits counts.
_RULES: Final[tuple[tuple[frozenset[str], str, CallClass], ...]] = (
    (_POST, "/v1/deals/*/join", CallClass.PLACING),
    (_POST, "/v1/deals/*/groups", CallClass.PLACING),
    (_POST, "/v1/deals/*/buy", CallClass.PLACING),
    (_POST, "/v1/groups/*/join", CallClass.PLACING),
    (_POST, "/v1/orders/*/cancel", CallClass.PLACING),
    (_POST, "/g/*/join", CallClass.PLACING),
    (_POST, "/g/*/open", CallClass.PLACING),
    (_GET, "/health/**", CallClass.OPERATOR),
    (_GET, "/metrics", CallClass.OPERATOR),
    (_POST, "/v1/payments/webhooks/*", CallClass.GATEWAY),
    (_GET, "/v1/groups/*/events", CallClass.STREAMS),
    (_GET, "/g/*/card.png", CallClass.CARDS),
    (_POST, "/g/*/**", CallClass.ACCOUNTS),
    (_ANY, "/g/**", CallClass.PAGES),
    (_GET, "/pages/**", CallClass.PAGES),
    (_GET, "/docs/**", CallClass.PAGES),
    (_GET, "/schema/**", CallClass.PAGES),
    (_GET, "/v1/me/export", CallClass.EXPORTS),
    (_ANY, "/v1/auth/**", CallClass.ACCOUNTS),
    (_ANY, "/v1/me/**", CallClass.ACCOUNTS),
    (_POST, "/v1/groups/*/invites", CallClass.ACCOUNTS),
    (_ANY, "/v1/unsubscribe/**", CallClass.ACCOUNTS),
    (_POST, "/v1/merchant/imports", CallClass.IMPORTS),
    (_GET, "/v1/merchant/orders.csv", CallClass.SHEETS),
    (_GET, "/v1/merchant/statement.csv", CallClass.SHEETS),
    (_ANY, "/v1/merchant/**", CallClass.MERCHANTS),
    (_ANY, "/v1/webhook-endpoints/**", CallClass.MERCHANTS),
    (_GET, "/**", CallClass.READS),
    (_ANY, "/v1/products/**", CallClass.MERCHANTS),
    (_ANY, "/v1/deals/**", CallClass.MERCHANTS),
    (_ANY, "/v1/orders/*/refunds", CallClass.MERCHANTS),
)


def class_of(method: str, path: str, query: bytes = b"") -> CallClass:
    """Returns the class of a call; a list that is filtered is a search."""
    path = path.rstrip("/") or "/"
    if query and method in _GET and _is_filtered(path, query):
        return CallClass.SEARCH
    pattern, classes = _BY_METHOD.get(method) or _BY_METHOD[_OTHER]
    match = pattern.fullmatch(path)
    return CallClass.READS if match is None or match.lastindex is None else classes[match.lastindex - 1]


def _is_filtered(path: str, query: bytes) -> bool:
    return _LISTS.fullmatch(path) is not None and _PLAIN_PARAMETERS.fullmatch(query) is None


def _expression(pattern: str) -> str:
    return "".join(
        "(?:/.*)?" if segment == "**" else "/[^/]+" if segment == "*" else f"/{re.escape(segment)}"
        for segment in pattern.split("/")[1:]
    )


def _compiled(method: str) -> tuple[re.Pattern[str], tuple[CallClass, ...]]:
    """Returns one expression for all rules of a method, and the class of each of its groups."""
    rules = [(path, call_class) for methods, path, call_class in _RULES if not methods or method in methods]
    expression = "|".join(f"({_expression(path)})" for path, _ in rules)
    return re.compile(expression, re.DOTALL), tuple(call_class for _, call_class in rules)


_BY_METHOD: Final = {method: _compiled(method) for method in (*_GET, *_POST, _OTHER)}
_LISTS: Final = re.compile("|".join(_expression(path) for path in sorted(_FILTERED_LISTS)))
