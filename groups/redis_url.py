"""The parts of a Redis URL besides user, password, host and database: its options, and how TLS is spoken.

    redis://…    rediss://… over TLS    unix:///path?db=0

redis-py makes a TLS context for each connection, from all certificates of the system. Reading certificates
takes 40 ms of the event loop and, after a restart of Redis, happens for every connection at once. Here all
connections of a URL share one. The server's certificate must be of the host that is connected to (RFC 9525,
section 6). redis-py does not check it; `ssl_check_hostname=false` turns the check off here too. Where
`ssl_ca_certs` is given, nobody else's certificates are taken.
"""

from __future__ import annotations

import difflib
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.exceptions import ConnectionError as RedisConnectionError

CONTEXTS_MAX: Final = 16
TLS_SCHEME: Final = "rediss"
OPTIONS: Final = (
    "client_name",
    "db",
    "health_check_interval",
    "password",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_timeout",
    "username",
)
TLS_OPTIONS: Final = (
    "ssl_ca_certs",
    "ssl_certfile",
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_ciphers",
    "ssl_keyfile",
)
TLS_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_REQUIREMENTS: Final = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_SWITCHES: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class _Sending(AbstractConnection):
    """Calls a connection lost that was lost right before something was sent.

    uvloop raises RuntimeError on a write to a transport that has just ended unannounced; redis-py knows only
    the errors of asyncio's own transports.
    """

    async def send_packed_command(self, *command: Any, **options: Any) -> None:
        try:
            await super().send_packed_command(*command, **options)
        except RuntimeError as error:
            raise RedisConnectionError(f"the connection ended: {error}") from error


class TcpConnection(_Sending, Connection):
    """A connection by TCP."""


class SocketConnection(_Sending, UnixDomainSocketConnection):
    """A connection by a Unix socket."""


class TlsConnection(TcpConnection):
    """A connection over TLS that is given its context."""

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self._tls = tls

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._tls}


def check_redis_url(url: str) -> None:
    """Raises ValueError, which repeats no secret, on an option or a value that cannot be used."""
    _options_of(url)


def pool_to(url: str, **options: Any) -> BlockingConnectionPool:
    """Returns a pool of connections to one server; the URL's options override `options` of redis-py.

    Raises ValueError as `check_redis_url` does.
    """
    return BlockingConnectionPool(**{**options, **_options_of(url)})


def _options_of(url: str) -> dict[str, Any]:
    over_tls = urlsplit(url).scheme.lower() == TLS_SCHEME
    given = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    for name in given:
        _require_known(name, over_tls=over_tls)
    options: dict[str, Any] = {
        name: value for name, value in parse_url(url).items() if name not in TLS_OPTIONS
    }
    options["connection_class"] = SocketConnection if "path" in options else TcpConnection
    if over_tls:
        tls = tuple(sorted((name, given[name]) for name in given if name in TLS_OPTIONS))
        options |= {"connection_class": TlsConnection, "tls": _context(tls)}
    return options


def _require_known(name: str, *, over_tls: bool) -> None:
    if name in OPTIONS or (over_tls and name in TLS_OPTIONS):
        return
    if name in TLS_OPTIONS:
        raise ValueError(f"has the option {name}, which needs rediss://")
    likely = difflib.get_close_matches(name, (*OPTIONS, *TLS_OPTIONS), n=1)
    hint = f"did you mean {likely[0]}?" if likely else f"known are {', '.join((*OPTIONS, *TLS_OPTIONS))}"
    raise ValueError(f"has the option {name[:64]!r}, which there is not; {hint}")


@lru_cache(maxsize=CONTEXTS_MAX)
def _context(options: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    given = dict(options)
    for name in TLS_FILES:
        if name in given:
            require_readable(name, given[name])
    required = _chosen("ssl_cert_reqs", given.get("ssl_cert_reqs", "required"), _REQUIREMENTS)
    checked = _chosen("ssl_check_hostname", given.get("ssl_check_hostname", "true"), _SWITCHES)
    at_work = "ssl_ca_certs"
    try:
        context = ssl.create_default_context(cafile=given.get("ssl_ca_certs"))
        at_work = "ssl_certfile"
        if "ssl_certfile" in given:
            context.load_cert_chain(given["ssl_certfile"], given.get("ssl_keyfile"))
        at_work = "ssl_ciphers"
        if "ssl_ciphers" in given:
            context.set_ciphers(given["ssl_ciphers"])
    except ssl.SSLError as error:
        raise ValueError(f"{at_work}: {given[at_work]} cannot be used: {error.reason or error}") from error
    # The name in an unverified certificate proves nothing.
    context.check_hostname = checked and required != ssl.CERT_NONE
    context.verify_mode = required
    return context


def require_readable(name: str, path: str) -> None:
    """Raises ValueError, with the option's name, where its file cannot be read."""
    try:
        with open(path, "rb"):  # noqa: PTH123 - a path of an operator, as it was written.
            return
    except OSError as error:
        raise ValueError(f"{name}: cannot read {path}: {error.strerror}") from error


def _chosen(name: str, text: str, choices: Mapping[str, Any]) -> Any:
    try:
        return choices[text.lower()]
    except KeyError:
        raise ValueError(f"{name} must be {', '.join(choices)}, not {text[:64]!r}") from None
