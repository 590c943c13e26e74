"""What the neighbours of joins ask for: the worst call that anybody can make of each class."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.market import joins, request_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS: Final = 4_000
"""Requests that differ, where they must; they are sent from the start again."""
LANGUAGES: Final = ("en", "zh", "ko", "vi", "uk", "fr", "es")
GUESSED: Final = "guessed@example.com"


@dataclass(frozen=True, slots=True)
class Street:
    """What neighbours ask about: a deal, a group of it, links, and tokens of buyers who are in already."""

    deal_id: str
    group_id: str
    share_codes: list[str]
    seated: list[str]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One kind of neighbour; with `hangs_up` each call has a connection of its own."""

    kind: str
    label: str
    calls: Callable[[Street], list[bytes]]
    hangs_up: bool = False


def _get(path: str) -> list[bytes]:
    return [request_bytes("GET", path)]


def _cards(street: Street) -> list[bytes]:
    return [
        request_bytes("GET", f"/g/{code}/card.png?lang={language}")
        for code in street.share_codes
        for language in LANGUAGES
    ]


def _api_keys(_: Street) -> list[bytes]:
    keys = (f"ptk_{secrets.token_hex(16)}_{secrets.token_hex(32)}" for _ in range(CALLS))
    return [request_bytes("GET", "/v1/orders", token=key) for key in keys]


def _guesses(_: Street) -> list[bytes]:
    body = b'{"grant_type":"otp","email":"%s","code":"000000"}' % GUESSED.encode()
    return [request_bytes("POST", "/v1/auth/token", body=body)]


def _codes(_: Street) -> list[bytes]:
    bodies = (b'{"email":"%s@example.com"}' % secrets.token_hex(8).encode() for _ in range(CALLS))
    return [request_bytes("POST", "/v1/auth/otp", body=body) for body in bodies]


NEIGHBOURS: Final = (
    Neighbour("search", "searches", lambda _: _get("/v1/products?q=a+b+c+d+e+f+g+h&currency=EUR&limit=100")),
    Neighbour("lists", "lists of a hundred products", lambda _: _get("/v1/products?limit=100")),
    Neighbour("group", "looks at a group", lambda street: _get(f"/v1/groups/{street.group_id}")),
    Neighbour("deal", "looks at a deal", lambda street: _get(f"/v1/deals/{street.deal_id}")),
    Neighbour("page", "pages behind a link", lambda street: _get(f"/g/{street.share_codes[0]}")),
    Neighbour("cards", "cards in all languages", _cards),
    Neighbour("nowhere", "paths that lead nowhere", lambda _: _get("/v1/nowhere")),
    Neighbour("live", "GET /health/live", lambda _: _get("/health/live")),
    Neighbour("ready", "GET /health/ready", lambda _: _get("/health/ready")),
    Neighbour("api_keys", "unknown API keys", _api_keys),
    Neighbour("guesses", "guesses of one code", _guesses),
    Neighbour("codes", "requests for codes", _codes),
    Neighbour(
        "streams",
        "streams that hang up",
        lambda street: _get(f"/v1/groups/{street.group_id}/events"),
        hangs_up=True,
    ),
    Neighbour(
        "strangers",
        "joins without a token",
        lambda street: [request_bytes("POST", f"/v1/deals/{street.deal_id}/join", key="k", body=b"{}")],
    ),
    Neighbour(
        "refused", "joins of buyers who are in already", lambda street: joins([street.deal_id], street.seated)
    ),
)
