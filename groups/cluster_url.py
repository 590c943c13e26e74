"""Reads the URL of a Redis Cluster: `redis+cluster://[user:password@]host:port,host:port[/][?options]`.

The nodes named only lead to the others, so two or three are enough. `rediss+cluster://` speaks TLS to all.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

CLUSTER_SCHEMES: Final = ("redis+cluster", "rediss+cluster")
PORT: Final = 6379


def names_cluster(url: str) -> bool:
    """Says whether the URL is that of a cluster."""
    return url.partition(":")[0].lower() in CLUSTER_SCHEMES


def addresses_of(url: str) -> list[tuple[str, int]]:
    """Returns host and port of each node that a cluster's URL names.

    Raises ValueError, which repeats nothing of the URL: it may hold a password.
    """
    parts = urlsplit(url)
    if not url[len(parts.scheme) :].startswith("://"):
        raise ValueError("must have :// between scheme and hosts")
    if parts.path not in ("", "/", "/0"):
        raise ValueError("a cluster has no other database than 0; leave out what follows the hosts")
    nodes = parts.netloc.rpartition("@")[2].split(",")
    return [_address_of(place, node) for place, node in enumerate(nodes, start=1)]


def node_url(url: str, host: str, port: int) -> str:
    """Returns the URL of one server of the cluster, with the cluster's user, password and options."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    written = f"[{host}]" if ":" in host else host
    scheme = parts.scheme.partition("+")[0]
    return urlunsplit(SplitResult(scheme, f"{user}{at}{written}:{port}", "", parts.query, ""))


def _address_of(place: int, node: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{node}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"node {place} is not a valid host:port") from error
    if not host or port == 0 or any(character.isspace() for character in node):
        raise ValueError(f"node {place} is not a valid host:port")
    return host, port or PORT
