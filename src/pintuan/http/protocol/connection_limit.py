"""The connections that one address may keep with a process, so that nobody takes all of them.

A connection that says nothing costs a descriptor and some ten kilobytes, and a stranger can open thousands.
Proxies that an operator trusts speak for many people and are not counted.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from pintuan.http.client_address import UNKNOWN, limit_key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANYBODY: Final = "*"


class ConnectionLimit:
    """Counts the connections of a process by client address: an IPv4 address or an IPv6 /64.

    `trusted` are addresses and networks, or `*` alone, as in PINTUAN_TRUSTED_PROXIES.
    """

    def __init__(self, per_address_max: int, trusted: Sequence[str] = ()) -> None:
        self._per_address_max = per_address_max
        self._trusts_all = _ANYBODY in trusted
        self._trusted = [ip_network(name) for name in trusted if name != _ANYBODY]
        self._counts: dict[str, int] = {}

    def enter(self, client: tuple[str, int] | None) -> str | None:
        """Counts a connection and returns what to give to `leave`; None when there are too many already."""
        key = limit_key_of({"client": client})
        # Behind a Unix socket is whoever the operator put there.
        if key == UNKNOWN or self._trusts_all or (client is not None and self._trusts(client[0])):
            return ""
        count = self._counts.get(key, 0)
        if count >= self._per_address_max:
            return None
        self._counts[key] = count + 1
        return key

    def leave(self, key: str) -> None:
        """Ends what `enter` began."""
        if not key:
            return
        count = self._counts[key] - 1
        if count:
            self._counts[key] = count
        else:
            del self._counts[key]

    def _trusts(self, host: str) -> bool:
        if not self._trusted:
            return False
        address = ip_address(host)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._trusted)
