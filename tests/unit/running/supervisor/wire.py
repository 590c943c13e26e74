"""A connection without a network: a protocol, what it writes, and an application that notes what came."""

from __future__ import annotations

import asyncio
import re
from typing import Any, NamedTuple

import uvicorn
from uvicorn.server import ServerState

from pintuan.http.protocol.connection import ImpatientProtocol

TURNS_MAX = 20_000
TURNS_FEW = 5


class Message(NamedTuple):
    """A request as whoever answers it sees it; `body` is None when it never came whole."""

    method: bytes
    target: bytes
    body: bytes | None


class Noting:
    """An application that reads each request to its end and answers with its number."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.scopes: list[Any] = []
        self.begun = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        number = self.begun
        self.scopes.append(scope)
        body: bytes | None = b""
        more = True
        while more and body is not None:
            message = await receive()
            more = message.get("more_body", False)
            body = body + message["body"] if message["type"] == "http.request" else None
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        self.messages.append(Message(scope["method"].encode(), scope["raw_path"] + query, body))
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
        await send({"type": "http.response.body", "body": b"%8d" % number})


class Wire(asyncio.Transport):
    """One connection: `written` is what the protocol sent."""

    def __init__(self, app: Any, protocol: type[ImpatientProtocol] = ImpatientProtocol) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_closed = self.is_paused = False
        config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, proxy_headers=False)
        self.state = ServerState()
        self.protocol = protocol(config, self.state, {}, asyncio.get_running_loop())
        self.protocol.connection_made(self)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Takes any limits, because nothing waits here."""

    def get_write_buffer_size(self) -> int:
        """Says that everything was taken."""
        return 0

    @property
    def statuses(self) -> list[int]:
        """The statuses of what was written."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", self.written)]

    async def send(self, *pieces: bytes) -> None:
        """Delivers pieces one after the other, as fast as they are read, until nothing moves any more."""
        for piece in pieces:
            await self._turns(lambda: not self.is_paused)
            if self.is_closed:
                break
            self.protocol.data_received(piece)
        await self._turns(self._is_quiet)

    async def deliver(self, *pieces: bytes) -> None:
        """Delivers pieces though nobody answers, and gives everybody their turn."""
        for piece in pieces:
            self.protocol.data_received(piece)
            for _ in range(TURNS_FEW):
                await asyncio.sleep(0)

    async def _turns(self, ended: Any) -> None:
        for _ in range(TURNS_MAX):
            if self.is_closed or ended():
                break
            await asyncio.sleep(0)
        else:
            raise AssertionError("it never comes to rest")
        # What was begun gets its chance to see that the connection has gone.
        for _ in range(TURNS_FEW):
            await asyncio.sleep(0)

    def _is_quiet(self) -> bool:
        protocol = self.protocol
        return not protocol._kept and (not protocol._is_answering or protocol._in_body)

    def end(self) -> None:
        """Loses the connection."""
        self.is_closed = True
        self.protocol.connection_lost(None)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("203.0.113.9", 4711)}.get(name, default)
