"""How the URL of a cluster is read."""

import pytest

from groups.cluster_url import addresses_of, names_cluster, node_url


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("redis+cluster://one:7000,two:7001", [("one", 7000), ("two", 7001)]),
        ("redis+cluster://one", [("one", 6379)]),
        ("rediss+cluster://user:p@ss@[::1]:7000,two:7001/0?a=b", [("::1", 7000), ("two", 7001)]),
    ],
)
def test_a_cluster_is_named_by_some_of_its_servers(url: str, addresses: list[tuple[str, int]]) -> None:
    assert names_cluster(url)
    assert addresses_of(url) == addresses


@pytest.mark.parametrize("url", ["redis://one:7000", "unix:///run/redis.sock", "rediss://cluster"])
def test_a_single_redis_is_no_cluster(url: str) -> None:
    assert not names_cluster(url)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis+cluster://one:7000,two:7001/0", "redis://ten:6379"),
        (
            "rediss+cluster://user:p%40ss@one:7000?ssl_cert_reqs=none",
            "rediss://user:p%40ss@ten:6379?ssl_cert_reqs=none",
        ),
    ],
)
def test_every_server_is_reached_in_the_same_way(url: str, server: str) -> None:
    assert node_url(url, "ten", 6379) == server


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    assert node_url("redis+cluster://one:7000", "::1", 7001) == "redis://[::1]:7001"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis+cluster://", "node 1 is not a valid host:port"),
        ("redis+cluster://one:7000,", "node 2 is not a valid host:port"),
        ("redis+cluster://user:secret@one:70000", "node 1 is not a valid host:port"),
        ("redis+cluster://one two:7000", "node 1 is not a valid host:port"),
        ("redis+cluster://one:7000/3", "no other database than 0"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_secret_repeated(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        addresses_of(url)
    assert "secret" not in str(refused.value)
