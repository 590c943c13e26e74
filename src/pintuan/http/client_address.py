"""Which address a request came from, as far as limits are concerned.

An address is easy to lie about: `X-Forwarded-For` is believed only from the proxies an operator names in
`PINTUAN_TRUSTED_PROXIES`. Without any, the address is the connection's own.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final, cast

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from litestar.types import ASGIApp, Receive, Scope, Send

# A subscriber's common network (RFC 6177 section 2); a single address of it costs them nothing.
IPV6_PREFIX_LENGTH: Final = 64
# The common network of a site or a company (RFC 6177 section 1): 65,536 of the above.
IPV6_WIDE_PREFIX_LENGTH: Final = 48
# The least that is routed, and so the least that is rented; a mobile carrier has thousands of people in it.
IPV4_WIDE_PREFIX_LENGTH: Final = 24
# A Unix socket has no address, and a proxy may forward a word such as `unknown`: all of these share a limit.
UNKNOWN: Final = "unknown"
_KEY_COUNT_MAX: Final = 4096
_HOST_LENGTH_MAX: Final = 64
FORWARDED_LENGTH_MAX: Final = 2048
"""The addresses read of X-Forwarded-For: dozens of proxies. A longer header is not read, and the client is
its sender.
"""
_FORWARDED: Final = b"x-forwarded-for"


def limit_key_of(scope: Mapping[str, Any]) -> str:
    """Returns what a limit by address counts under, for an ASGI scope: an IPv4 address or an IPv6 /64."""
    client = scope.get("client")
    host = client[0] if client else ""
    return _key_of(host) if len(host) <= _HOST_LENGTH_MAX else UNKNOWN


def wide_key_of(limit_key: str) -> str | None:
    """Returns the IPv6 /48 that a key of `limit_key_of` is in; None for any other key."""
    if ":" not in limit_key:
        return None
    return str(IPv6Network(limit_key).supernet(new_prefix=IPV6_WIDE_PREFIX_LENGTH))


def neighbourhood_of(limit_key: str) -> str:
    """Returns the IPv4 /24 or IPv6 /48 that a key of `limit_key_of` is in; `UNKNOWN` is in itself."""
    wide_key = wide_key_of(limit_key)
    if wide_key is not None:
        return wide_key
    if limit_key == UNKNOWN:
        return UNKNOWN
    return str(IPv4Network((limit_key, IPV4_WIDE_PREFIX_LENGTH), strict=False))


def behind_proxies(app: ASGIApp, trusted: Sequence[str]) -> ASGIApp:
    """Returns `app` with the client's address as the proxies `trusted` tell it; without any, `app` itself.

    Each is an address, a network or `*`. The client is the last address that no trusted proxy has. Under `*`
    it is the first one named, which is safe only where nobody reaches the server past the proxy.
    """
    if not trusted:
        return app
    # uvicorn and litestar each describe the same ASGI in types of their own.
    believing = cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", app), list(trusted)))

    async def believing_within_bounds(scope: Scope, receive: Receive, send: Send) -> None:
        forwarded = sum(len(value) for name, value in scope.get("headers", ()) if name == _FORWARDED)
        await (believing if forwarded <= FORWARDED_LENGTH_MAX else app)(scope, receive, send)

    return believing_within_bounds


@lru_cache(maxsize=_KEY_COUNT_MAX)
def _key_of(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return UNKNOWN
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    # Through its number, because a link-local address may carry the name of an interface.
    return str(IPv6Network((int(address), IPV6_PREFIX_LENGTH), strict=False))
