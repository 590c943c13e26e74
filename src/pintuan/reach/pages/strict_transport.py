"""Tells browsers to come back over TLS only (RFC 6797), where the links of the marketplace are https."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from litestar.types import Message, Scope

AGE_S: Final = 365 * 24 * 3600
# For this host alone: other hosts of its domain are not ours to decide about.
HEADER: Final = (b"strict-transport-security", f"max-age={AGE_S}".encode())
_HTML: Final = b"text/html"


async def demand_tls(message: Message, scope: Scope) -> None:  # noqa: ARG001 - Litestar's signature.
    """Adds the header to answers that a browser shows; programs that call the API take no notice of it."""
    if message["type"] != "http.response.start":
        return
    headers = list(message["headers"])
    if any(name == b"content-type" and value.startswith(_HTML) for name, value in headers):
        message["headers"] = [*headers, HEADER]
