"""A connection whose request never ends is closed, and one that is being answered is not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from pintuan.http.protocol import timed_protocol
from pintuan.http.protocol.connection import ImpatientProtocol
from pintuan.http.protocol.framed_protocol import HEAD_BYTES_MAX

pytestmark = pytest.mark.anyio

HEAD = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 8\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 431 "

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """Answers with the body, once it is there and the answer is let; says when a client went away."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.answer.set()
        self.left = asyncio.Event()

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left.set()
                return
            body, more = body + message["body"], message["more_body"]
        await self.answer.wait()
        size = str(len(body)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", size)]})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connected(app: Echo) -> AsyncIterator[Callable[[], Any]]:
    """What opens connections to a server of the app."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = uvicorn.Config(app, http=ImpatientProtocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve([listener]))
    writers = []

    async def connect() -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    try:
        yield connect
    finally:
        for writer in writers:
            writer.close()
        server.should_exit = True
        await running


@pytest.mark.parametrize("line", [b"X: abc\r\n", b"x" * 8])
async def test_a_head_without_end_is_refused_before_it_fills_the_memory(line: bytes) -> None:
    async with connected(Echo()) as connect:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\nX: ")
        answer = asyncio.create_task(reader.readexactly(len(TOO_LARGE)))
        # Piece by piece: a connection closed upon much unread data is reset, and the answer may be lost.
        while not answer.done():
            writer.write(line * 512)
            await asyncio.wait([answer], timeout=0.01)
        assert answer.result() == TOO_LARGE


async def test_a_long_body_is_no_head() -> None:
    size = 4 * HEAD_BYTES_MAX
    async with connected(Echo()) as connect:
        reader, writer = await connect()
        for _ in range(2):
            writer.write(f"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: {size}\r\n\r\n".encode())
            writer.write(b"b" * size)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert len(await reader.readexactly(size)) == size


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET / HT", HEAD, HEAD + b"half"])
async def test_a_request_that_stops_coming_is_given_up(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_protocol, "REQUEST_WAIT_S_MAX", 0.05)
    app = Echo()
    async with connected(app) as connect:
        reader, writer = await connect()
        writer.write(sent)
        assert await reader.read() == b""
        if sent.startswith(HEAD):
            await app.left.wait()


async def test_a_head_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_protocol, "REQUEST_WAIT_S_MAX", 0.2)
    async with connected(Echo()) as connect:
        reader, writer = await connect()
        closed = asyncio.create_task(reader.read())
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        while not closed.done():
            writer.write(b"x")
            await asyncio.wait([closed], timeout=0.02)
        assert closed.exception() is not None or closed.result() == b""


async def test_an_answer_may_take_longer_than_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_protocol, "REQUEST_WAIT_S_MAX", 0.05)
    app = Echo()
    app.answer.clear()
    async with connected(app) as connect:
        reader, writer = await connect()
        writer.write(HEAD + b"complete")
        # Another connection sees the time pass in which the first one would be closed.
        other, _ = await connect()
        assert await other.read() == b""
        app.answer.set()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(8) == b"complete"
