"""Which URLs and which addresses may be called for a merchant.

A merchant names the URL, and the call begins in our network. Without these rules a webhook would reach
services that only we can reach (server-side request forgery; OWASP has a cheat sheet on it). The form of the
URL is checked, and every address its host name resolves to. The connection is made to one of those very
addresses, so that a name which changes in between (DNS rebinding) gains nothing.

DestinationRefused(reason)   the URL may not be called, or its name leads where nothing may be called
UnknownHost(reason)          the name did not resolve in time
"""

from __future__ import annotations

import asyncio
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

Address: TypeAlias = IPv4Address | IPv6Address

URL_CHARS_MAX: Final = 2000
RESOLVE_TIMEOUT_S: Final = 3.0
# The C library's resolver blocks a thread, for longer than we wait; these are all it can have.
RESOLVING_THREADS_MAX: Final = 64
# Below 1024 other protocols live than this one.
HTTPS_PORT: Final = 443
FREE_PORT_MIN: Final = 1024

_VISIBLE: Final = re.compile(r"[!-~]+")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?")

# IANA's special-purpose registry (RFC 6890 and later), and addresses that are not unicast.
_REFUSED_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        # Answers metadata and DNS of a cloud's hosts, though it lies in public space.
        "168.63.129.16/32",
    )
)
# Global unicast (RFC 4291 section 2.4). Mapped and compatible IPv4, link-local, unique local, multicast and
# the metadata address fd00:ec2::254 all lie outside of it.
_GLOBAL_V6: Final = IPv6Network("2000::/3")
# Inside of it: protocol assignments with Teredo, documentation, 6to4, documentation again.
_REFUSED_V6: Final = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
# The prefixes by which a host without IPv4 reaches IPv4 (RFC 6052); the last four bytes are the address.
_NAT64: Final = IPv6Network("64:ff9b::/96")


class DestinationRefused(Exception):
    """A URL or an address that may not be called; the reason may be shown to the merchant."""


class UnknownHost(Exception):
    """A name that did not resolve in time."""


class Resolver(Protocol):
    """Turns host names into addresses."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Returns the addresses in the order to try them; raises UnknownHost."""
        ...


class SystemResolver:
    """Asks the system, in threads of its own: a name that hangs must not hold up others' files or names."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVING_THREADS_MAX, thread_name_prefix="resolving")

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """See `Resolver`; waits at most `RESOLVE_TIMEOUT_S`."""
        loop = asyncio.get_running_loop()
        asking = loop.run_in_executor(self._threads, _ask_system, host, port)
        try:
            found = await asyncio.wait_for(asking, RESOLVE_TIMEOUT_S)
        except (OSError, UnicodeError) as error:
            # TimeoutError is an OSError.
            raise UnknownHost("the host name does not resolve") from error
        return list(dict.fromkeys(ip_address(address) for address in found))

    def close(self) -> None:
        """Lets go of threads that wait for work."""
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that may be called if its addresses may; `target` is its path with the query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The value of the Host header (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"


def destination_of(url: str, *, allows_loopback: bool) -> Destination:
    """Returns the parts of a URL that may be called.

    `allows_loopback` is for development: then `http` is taken as well, which only ever reaches this machine.

    Raises:
        DestinationRefused: the URL has another form; the reason says which.
    """
    if len(url) > URL_CHARS_MAX or not _VISIBLE.fullmatch(url) or "\\" in url:
        raise DestinationRefused(f"must be a URL of at most {URL_CHARS_MAX} visible ASCII characters")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise DestinationRefused("is not a valid URL; check its host and port") from error
    if parts.scheme != "https" and not (allows_loopback and parts.scheme == "http"):
        raise DestinationRefused("must begin with https://")
    if "@" in parts.netloc:
        raise DestinationRefused("must not hold a user name or password")
    if parts.fragment or "#" in url:
        raise DestinationRefused("must not have a fragment")
    if not host or not (_HOST.fullmatch(host) or _literal(host)):
        raise DestinationRefused("must name a host, in ASCII; write another alphabet's as xn--…")
    port = _default_port(parts.scheme) if port is None else port
    if port != HTTPS_PORT and port < FREE_PORT_MIN:
        raise DestinationRefused(f"must use port {HTTPS_PORT} or one from {FREE_PORT_MIN} on")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.scheme, host, port, target)


async def addresses_of(
    destination: Destination, resolver: Resolver, *, allows_loopback: bool
) -> Sequence[Address]:
    """Returns where a destination may be reached, having looked at every address it has.

    Raises:
        UnknownHost: it has none at the moment.
        DestinationRefused: one of them may not be called, which no honest name has.
    """
    literal = _literal(destination.host)
    addresses = [literal] if literal else await resolver.resolve(destination.host, destination.port)
    if not addresses:
        raise UnknownHost("the host name does not resolve")
    for address in addresses:
        here = allows_loopback and address.is_loopback
        if not (here or (destination.scheme == "https" and is_public(address))):
            raise DestinationRefused("leads to an address that is not public")
    return addresses


def is_public(address: Address) -> bool:
    """Says whether an address belongs to a host on the Internet and to no network of somebody's own."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _REFUSED_V4)
    if address in _NAT64:
        return is_public(IPv4Address(address.packed[-4:]))
    return (
        address in _GLOBAL_V6 and address.is_global and not any(address in network for network in _REFUSED_V6)
    )


def _default_port(scheme: str) -> int:
    return HTTPS_PORT if scheme == "https" else 80


def _literal(host: str) -> Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    # A zone names an interface of this machine, which no URL has a say in.
    return None if isinstance(address, IPv6Address) and address.scope_id else address


def _ask_system(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[4][0]) for place in found]
