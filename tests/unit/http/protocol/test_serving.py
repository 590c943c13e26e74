"""A server that ends cuts nobody off: clients are told before their connections close."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from pintuan.http.protocol.serving import PoliteServer
from tests.waiting import until

pytestmark = pytest.mark.anyio

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


class Slow:
    """An application that answers once it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.asked.set()
        await self.answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def serving(app: Slow) -> AsyncIterator[tuple[PoliteServer, int]]:
    """A server in this loop, asked to end at the latest when the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    serves = asyncio.Event()
    config = uvicorn.Config(app, http="httptools", ws="none", lifespan="off", log_config=None)
    server = PoliteServer(config, serving=serves.set)
    running = asyncio.create_task(server._serve([listener]))
    await serves.wait()
    try:
        yield server, port
    finally:
        server.should_exit = True
        app.answer.set()
        await running


async def reply(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(2)
    return head


async def refused(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (ConnectionRefusedError, ConnectionResetError):
        # A listener that closes resets what still waits to be accepted.
        return True
    writer.close()
    await writer.wait_closed()
    return False


async def test_a_request_that_comes_while_draining_is_answered_and_told_to_be_the_last() -> None:
    app = Slow()
    app.answer.set()
    async with serving(app) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        assert b"connection: close" not in await reply(reader)

        server.should_exit = True
        await until(lambda: refused(port))
        writer.write(REQUEST)
        assert b"connection: close" in await reply(reader)
        assert await reader.read() == b"", "and then it is closed"
        writer.close()
        await writer.wait_closed()


async def test_a_request_under_way_finishes() -> None:
    app = Slow()
    async with serving(app) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await app.asked.wait()
        server.should_exit = True
        await until(lambda: refused(port))
        app.answer.set()
        assert (await reply(reader)).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
