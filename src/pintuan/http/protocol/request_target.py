"""The address a request asks for: how its target is read, and which spelling of a path is served.

A path with several spellings may be known by another one to a proxy that withholds an address, a cache, or a
gate that counts. Everything here therefore has one spelling. No address of this service needs an escape, an
empty segment, a dot segment or a slash at its end. A path with one of them names nothing (RFC 3986 section
6.2 lists the forms that would otherwise have to be made equal).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from litestar.enums import ScopeType

from pintuan.base.errors import NotFound
from pintuan.http.problems import send_problem

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

TARGET_BYTES_MAX: Final = 8192
"""RFC 9112 section 3 asks for at least 8,000 octets."""
AUTHORITY_BYTES_MAX: Final = 261
"""A name of DNS, a colon and a port."""
AUTHORITIES_KEPT_MAX: Final = 1024
PORT_MAX: Final = 65_535

# `pchar` of RFC 3986 section 3.3 with `%`: any character that may stand in a segment.
SEGMENT: Final = rb"[A-Za-z0-9._~!$&'()*+,;=:@%-]+"
# Browsers leave some characters of a query unescaped that the RFC would have escaped. `#` ends no query here:
# a fragment is never sent (RFC 9112 section 3.2).
QUERY: Final = rb"[!\"$-~]*"
_ORIGIN_FORM: Final = re.compile(rb"(/[A-Za-z0-9._~!$&'()*+,;=:@%%/-]*)(?:\?(%b))?" % QUERY)
_ABSOLUTE_FORM: Final = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_NAME: Final = rb"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+"
_AUTHORITY: Final = re.compile(rb"(?:%b|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{0,5}))?" % _NAME)
_CANONICAL: Final = re.compile(rb"/|(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")

_MOVED: Final = 308
_LINKS: Final = b"/g/"
# No share code has such a sign, so this is the address of no group.
_LOST_LINK: Final = "/g/~"
_BROWSED: Final = frozenset({"GET", "HEAD"})


class Target(NamedTuple):
    """A request target; `authority` is that of an absolute one, which counts more than the Host header."""

    path: bytes
    query: bytes
    authority: bytes | None = None


def read_target(text: bytes) -> Target | None:
    """Returns the target of a request, or None where it has none of the forms that name a resource.

    These are origin-form and absolute-form (RFC 9112 sections 3.2.1 and 3.2.2).
    """
    authority = None
    if not text.startswith(b"/"):
        absolute = _ABSOLUTE_FORM.fullmatch(text)
        if absolute is None or not is_authority(absolute[1]):
            return None
        authority, text = absolute[1], absolute[2]
        if not text.startswith(b"/"):
            # An empty path is the same as `/` (RFC 9110 section 4.2.3).
            text = b"/" + text
    origin = _ORIGIN_FORM.fullmatch(text)
    return None if origin is None else Target(origin[1], origin[2] or b"", authority)


def is_authority(text: bytes) -> bool:
    """Says whether a text is a host with or without a port, as Host has it (RFC 9112 section 3.2).

    A user's name in front of it is none of them (RFC 9110 section 4.2.4).
    """
    return len(text) <= AUTHORITY_BYTES_MAX and _is_short_authority(text)


@lru_cache(maxsize=AUTHORITIES_KEPT_MAX)
def _is_short_authority(text: bytes) -> bool:
    match = _AUTHORITY.fullmatch(text)
    return match is not None and (not match[1] or int(match[1]) <= PORT_MAX)


def is_canonical(path: bytes) -> bool:
    """Says whether a path is spelt in the one way that can reach anything."""
    return _CANONICAL.fullmatch(path) is not None


class OneSpelling:
    """ASGI layer that lets requests pass whose path has the one spelling, and answers others with 404.

    People add a slash at the end by hand, so a browser is sent on to the address without it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, sends a browser on, or answers 404."""
        if scope["type"] != ScopeType.HTTP or is_canonical(scope["raw_path"]):
            await self._app(scope, receive, send)
            return
        path = scope["raw_path"].removesuffix(b"/")
        if scope["method"] in _BROWSED and path and is_canonical(path):
            query = scope.get("query_string", b"")
            # Both were checked byte by byte, so that they may stand in a header.
            location = path + b"?" + query if query else path
            headers = [(b"location", location), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": _MOVED, "headers": headers})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        if scope["method"] in _BROWSED and scope["raw_path"].startswith(_LINKS):
            # A link that was damaged on its way is answered by a page, as one that leads to no group.
            scope["path"], scope["raw_path"] = _LOST_LINK, _LOST_LINK.encode("ascii")
            await self._app(scope, receive, send)
            return
        await send_problem(NotFound("address"), send)
