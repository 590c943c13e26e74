"""Reads the URLs of the stores: each function takes a text and returns it, or raises ValueError.

A fault of an address, an option or a file is told where the settings are read, by the name of the variable.
It is not left to the first connection. No reason repeats a password.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

from groups.cluster_url import CLUSTER_SCHEMES, addresses_of, names_cluster, node_url
from groups.redis_url import check_redis_url, require_readable
from pintuan.base.settings.values import url

POSTGRES_SCHEMES: Final = ("postgresql", "postgres")
REDIS_SCHEMES: Final = ("redis", "rediss", "unix")
# The parameters of libpq that name files.
POSTGRES_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")


def postgres(text: str) -> str:
    """Takes the URL of Postgres, or of several servers as in postgresql://one:5432,two:5432/shop.

    The form is libpq's ("Specifying Multiple Hosts"); `target_session_attrs=read-write` picks the primary.
    """
    first, comma, _ = _hosts(text).partition(",")
    if comma:
        for place, host in enumerate(_hosts(text).split(","), start=1):
            _require_host(place, host)
        # Faults beside the hosts show with any one of them.
        url(*POSTGRES_SCHEMES)(text.replace(_hosts(text), first, 1))
    else:
        url(*POSTGRES_SCHEMES)(text)
    for name, value in parse_qsl(urlsplit(text).query):
        if name in POSTGRES_FILES:
            require_readable(name, value)
    return text


def redis_server(text: str) -> str:
    """Takes the URL of a single Redis, with options that there are and files that can be read."""
    url(*REDIS_SCHEMES)(text)
    check_redis_url(text)
    return text


def placing_redis(text: str) -> str:
    """Takes the URL of a single Redis or of a cluster."""
    if not names_cluster(text):
        url(*REDIS_SCHEMES, *CLUSTER_SCHEMES)(text)
        check_redis_url(text)
        return text
    check_redis_url(node_url(text, *addresses_of(text)[0]))
    return text


def _hosts(text: str) -> str:
    return urlsplit(text).netloc.rpartition("@")[2]


def _require_host(place: int, host: str) -> None:
    try:
        usable = bool(host) and urlsplit(f"//{host}").port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"host {place} is not a valid host:port")
