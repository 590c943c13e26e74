"""The listening socket. The supervisor owns it and API processes inherit it, so that the connections waiting
in its queue outlive any of them.
"""

import asyncio
import errno
import ipaddress
import socket

from pintuan.running.supervisor.errors import ListenError

BACKLOG = 2048
PREDECESSOR_WAIT_S_MAX = 15.0
"""Longer than an API process takes to drain, so that those of a killed supervisor have let go of the port."""
PREDECESSOR_POLL_S = 0.1
UNREAD_MS_MAX = 60_000
"""How long a connection may leave unread what we sent: streams to readers that vanished must end sometime."""
SEND_BUFFER_BYTES = 128 * 1024
"""The bytes of an answer that the kernel takes. Left to itself it takes megabytes for a client that reads
nothing.
"""


async def listen(host: str, port: int, *, after_crash: bool) -> socket.socket:
    """Binds and listens; after a crash it waits for the crashed supervisor's children to leave the port.

    Raises ListenError, in words for the operator.
    """
    attempts = round(PREDECESSOR_WAIT_S_MAX / PREDECESSOR_POLL_S) if after_crash else 0
    for _ in range(attempts):
        try:
            return _bind(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                break
        await asyncio.sleep(PREDECESSOR_POLL_S)
    try:
        return _bind(host, port)
    except OSError as error:
        raise ListenError(_reason(host, port, error)) from error


def url_of(host: str, port: int) -> str:
    """The URL at which a client on this machine reaches a server listening on `host`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    shown = f"[{address}]" if address.version == 6 else str(address)
    return f"http://{shown}:{port}"


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it, and the next one.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Only Linux has it (RFC 5482).
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS_MAX)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  # the standard library takes it by position
    except OSError:
        listener.close()
        raise
    return listener


def _reason(host: str, port: int, error: OSError) -> str:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is taken by another program; stop it or choose another --port"
    if error.errno == errno.EACCES:
        return f"{where} needs privileges we lack; choose a --port above 1023"
    return f"cannot listen on {where}: {error.strerror or error}"
