"""A limit by address counts what one subscriber has, and believes only the proxies named."""

from typing import Any

import pytest

from pintuan.http.client_address import UNKNOWN, behind_proxies, limit_key_of, neighbourhood_of, wide_key_of

PROXY = "10.0.0.7"


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", UNKNOWN),
        ("", UNKNOWN),
        ("1" * 10_000, UNKNOWN),
    ],
)
def test_an_address_counts_as_itself_and_an_ipv6_one_as_its_network(host: str, key: str) -> None:
    assert limit_key_of({"client": (host, 1234)}) == key


@pytest.mark.parametrize(
    ("key", "wide"),
    [
        ("2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1:ffff::/64", "2001:db8:1::/48"),
        ("203.0.113.9", None),
        (UNKNOWN, None),
    ],
)
def test_an_ipv6_network_is_in_a_wider_one(key: str, wide: str | None) -> None:
    assert wide_key_of(key) == wide


@pytest.mark.parametrize(
    ("key", "around"),
    [
        ("2001:db8:1:ffff::/64", "2001:db8:1::/48"),
        ("203.0.113.9", "203.0.113.0/24"),
        ("203.0.113.255", "203.0.113.0/24"),
        (UNKNOWN, UNKNOWN),
    ],
)
def test_each_key_has_a_neighbourhood(key: str, around: str) -> None:
    assert neighbourhood_of(key) == around


@pytest.mark.parametrize("scope", [{}, {"client": None}])
def test_a_connection_without_an_address_has_a_key_all_the_same(scope: dict[str, Any]) -> None:
    assert limit_key_of(scope) == UNKNOWN


async def key_seen(trusted: tuple[str, ...], client: str, *forwarded: str) -> str:
    seen: list[str] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(limit_key_of(scope))

    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope: Any = {"type": "http", "client": (client, 1), "headers": headers}
    unused: Any = None
    await behind_proxies(app, trusted)(scope, unused, unused)
    return seen[0]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("trusted", "client", "forwarded", "key"),
    [
        ((), PROXY, ["203.0.113.9"], PROXY),
        ((PROXY,), PROXY, ["203.0.113.9"], "203.0.113.9"),
        (("10.0.0.0/8",), PROXY, ["203.0.113.9, 10.1.1.1"], "203.0.113.9"),
        ((PROXY,), "203.0.113.66", ["203.0.113.9"], "203.0.113.66"),
        # What a client wrote itself stands before what the proxy saw.
        ((PROXY,), PROXY, ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        ((PROXY,), PROXY, ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        ((PROXY,), PROXY, ["203.0.113.9:4711"], "203.0.113.9"),
        ((PROXY,), PROXY, [], PROXY),
        (("*",), PROXY, ["203.0.113.9"], "203.0.113.9"),
    ],
)
async def test_the_header_counts_only_from_a_trusted_proxy(
    trusted: tuple[str, ...], client: str, forwarded: list[str], key: str
) -> None:
    assert await key_seen(trusted, client, *forwarded) == key
