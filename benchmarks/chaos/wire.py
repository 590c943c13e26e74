"""Calls over HTTP/1.1 by whoever wants them cheap: kept connections, one call on each at a time.

A connection whose call was not answered in time is never used again, because the answer may still come.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import httptools

HOST: Final = "127.0.0.1"
CONNECTIONS_MAX: Final = 96
"""To one address; further calls wait for their turn."""
CONNECT_TIMEOUT_S: Final = 3.0
LOST: Final = 0
"""The status of a call that was not answered."""


@dataclass(slots=True)
class Answer:
    """An answer; header names are in lower case. `status` is LOST where none came, and `body` says why."""

    status: int
    body: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)


class _Connection(asyncio.Protocol):
    """One connection; httptools calls the `on_` methods."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self.usable = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # A stream's.
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._answer(Answer(LOST, repr(exc).encode()))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.abort()
            self._answer(Answer(LOST, repr(error).encode()))

    def on_message_begin(self) -> None:
        self._headers = {}
        self._body = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.usable = self.usable and self._parser.should_keep_alive()
        self._answer(Answer(self._parser.get_status_code(), b"".join(self._body), self._headers))

    async def call(self, request: bytes, within_s: float) -> Answer:
        """Sends one call and waits for its answer."""
        self._waiter = asyncio.get_running_loop().create_future()
        assert self._transport is not None  # noqa: S101 - a connection is used only once it is made.
        self._transport.write(request)
        try:
            async with asyncio.timeout(within_s):
                return await self._waiter
        except TimeoutError:
            self.abort()
            return Answer(LOST, b"no answer in time")
        finally:
            self._waiter = None

    def abort(self) -> None:
        """Ends the connection at once."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, answer: Answer) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(answer)


class Address:
    """Connections to one address, at most `CONNECTIONS_MAX`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._idle: deque[_Connection] = deque()
        self._places = asyncio.Semaphore(CONNECTIONS_MAX)

    async def call(self, request: bytes, within_s: float) -> Answer:
        """Makes one call; `within_s` counts from the sending."""
        async with self._places:
            connection = self._kept() or await self._connected()
            if connection is None:
                return Answer(LOST, b"no connection")
            try:
                return await connection.call(request, within_s)
            finally:
                if connection.usable:
                    self._idle.append(connection)
                else:
                    connection.abort()

    def close(self) -> None:
        """Ends every idle connection."""
        while self._idle:
            self._idle.pop().abort()

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connected(self) -> _Connection | None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await loop.create_connection(_Connection, HOST, self.port)
        except (OSError, TimeoutError):
            return None
        return connection


def request_bytes(
    method: str, path: str, *, token: str | None = None, key: str | None = None, body: bytes = b""
) -> bytes:
    """Returns one call as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if key is not None:
        lines.append(f"Idempotency-Key: {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    elif method != "GET":
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode() + body
