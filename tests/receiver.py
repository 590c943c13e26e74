"""A merchant's own server, for tests: real HTTP on a free port of this machine, behaving as it is told to."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from standardwebhooks import Webhook

from pintuan.base.outgoing.addresses import Address

HOST = "127.0.0.1"

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Names:
    """A resolver that gives these answers in turn, each a list of addresses; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ip_address(address) for address in answer]


@dataclass(frozen=True, slots=True)
class Received:
    """One request; names of headers are in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.body)
        return message

    def verified(self, secret: str) -> dict[str, Any]:
        """The message, when the independent library finds it signed with the secret."""
        message: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return message


@dataclass
class Receiver:
    """What was posted to it; it answers `status`, or whatever `answering` writes."""

    port: int = 0
    scheme: str = "http"
    status: int = 200
    answering: Answering | None = None
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{HOST}:{self.port}/hooks?shop=1"

    def types(self) -> list[str]:
        return [one.message["type"] for one in self.received]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._serve_one(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            # Whoever calls may hang up on a server that behaves badly.
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append(Received(head[0], headers, body))
        self.reached.set()
        if self.answering is None:
            writer.write(b"HTTP/1.1 %d Said\r\ncontent-length: 0\r\n\r\n" % self.status)
            await writer.drain()
        else:
            await self.answering(writer)


@asynccontextmanager
async def receiving(
    tls: ssl.SSLContext | None = None, *, host: str = HOST, **behaviour: Any
) -> AsyncIterator[Receiver]:
    """A receiver for the life of the block, which listens on `host` alone."""
    receiver = Receiver(scheme="http" if tls is None else "https", **behaviour)
    server = await asyncio.start_server(receiver.serve, host, 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


async def never(_writer: asyncio.StreamWriter) -> None:
    """Answers nothing, until whoever asked has hung up or the test ends."""
    await asyncio.sleep(3600)
