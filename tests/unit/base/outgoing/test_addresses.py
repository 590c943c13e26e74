"""No URL and no name leads a webhook into somebody's own network."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pintuan.base.outgoing.addresses import (
    DestinationRefused,
    SystemResolver,
    UnknownHost,
    addresses_of,
    destination_of,
    is_public,
)
from tests.receiver import Names

pytestmark = pytest.mark.anyio

PUBLIC = ("93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "99.255.255.255", "100.128.0.1")
NOT_PUBLIC = (
    "0.0.0.0",  # noqa: S104 - an address to be refused, not to listen on.
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "100.100.100.200",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
)


@pytest.mark.parametrize("text", PUBLIC)
def test_hosts_on_the_internet_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_whatever_is_special_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
async def test_an_address_that_is_not_public_is_refused_as_a_url_and_as_an_answer(text: str) -> None:
    address = ip_address(text)
    host = f"[{text}]" if address.version == 6 else text
    for url, resolver in (
        (f"https://{host}/", Names([])),
        ("https://hooks.example/", Names([text])),
        ("https://hooks.example/", Names(["8.8.8.8", text])),
    ):
        destination = destination_of(url, allows_loopback=False)
        with pytest.raises(DestinationRefused, match="not public"):
            await addresses_of(destination, resolver, allows_loopback=False)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost", "localhost."])
async def test_what_the_system_takes_for_this_machine_is_refused_however_it_is_written(host: str) -> None:
    resolver = SystemResolver()
    try:
        destination = destination_of(f"https://{host}/", allows_loopback=False)
        # Where the system knows no such name at all, nothing is called either.
        with pytest.raises((DestinationRefused, UnknownHost)):
            await addresses_of(destination, resolver, allows_loopback=False)
    finally:
        resolver.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example/", "https"),
        ("ftp://hooks.example/", "https"),
        ("gopher://hooks.example/", "https"),
        ("//hooks.example/", "https"),
        ("hooks.example", "https"),
        ("https://", "host"),
        ("https:///path", "host"),
        ("https://user@hooks.example/", "user name"),
        ("https://user:word@hooks.example/", "user name"),
        ("https://public.example@127.0.0.1/", "user name"),
        ("https://hooks.example/#part", "fragment"),
        ("https://hooks.example/#", "fragment"),
        ("https://hooks.example:22/", "port"),
        ("https://hooks.example:80/", "port"),
        ("https://hooks.example:0/", "port"),
        ("https://hooks.example:65536/", "valid"),
        ("https://hooks.example:x/", "valid"),
        ("https://hooks.example\\@127.0.0.1/", "visible"),
        ("https://hooks.example/a b", "visible"),
        ("https://hooks.example/\r\nx: y", "visible"),
        ("https://hooks.exam\tple/", "visible"),
        ("https://hööks.example/", "visible"),
        ("https://hooks%2eexample/", "host"),
        ("https://-hooks.example/", "host"),
        ("https://[fe80::1%25eth0]/", "host"),
        ("https://[::1/", "valid"),
        ("https://hooks.example/" + "x" * 2000, "2000"),
    ],
)
def test_a_url_of_another_form_is_refused_with_a_reason(url: str, reason: str) -> None:
    with pytest.raises(DestinationRefused, match=reason):
        destination_of(url, allows_loopback=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/", "https://[::1]:9000/", "http://[::1]:9000/"])
async def test_only_development_calls_this_machine(url: str) -> None:
    assert await addresses_of(destination_of(url, allows_loopback=True), Names([]), allows_loopback=True)
    with pytest.raises(DestinationRefused):
        await addresses_of(destination_of(url, allows_loopback=False), Names([]), allows_loopback=False)


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "8.8.8.8"])
async def test_plain_http_reaches_nothing_but_this_machine(address: str) -> None:
    destination = destination_of("http://hooks.example:9000/", allows_loopback=True)
    with pytest.raises(DestinationRefused):
        await addresses_of(destination, Names([address]), allows_loopback=True)


def test_what_is_asked_for_is_what_the_url_says() -> None:
    destination = destination_of("https://Hooks.Example:8443/a/b?c=d&e", allows_loopback=False)
    assert (destination.host, destination.port, destination.target) == ("hooks.example", 8443, "/a/b?c=d&e")
    assert destination.authority == "hooks.example:8443"
    plain = destination_of("https://hooks.example", allows_loopback=False)
    assert (plain.port, plain.target, plain.authority) == (443, "/", "hooks.example")
    bare = destination_of("https://[2606:4700::1111]", allows_loopback=False)
    assert bare.authority == "[2606:4700::1111]"
