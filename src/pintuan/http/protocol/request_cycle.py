"""The parts that uvicorn needs for the application to answer one request, made from the
protocol's reading.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from pintuan.http.hanging_up import EXTENSION, NOW

if TYPE_CHECKING:
    import asyncio.transports
    from collections.abc import Sequence

    from uvicorn._types import ASGISendEvent, HTTPScope
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_SPEC_VERSION: Final = "2.3"
_LENGTH: Final = b"content-length"


class RequestHead(NamedTuple):
    """A request as far as its head tells; names of `headers` are in lower case."""

    method: str
    version: str
    path: bytes
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    expects_continue: bool
    keep_alive: bool


class HeldFlow(FlowControl):
    """A connection's flow whose reading can be held, so that an application does not resume it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._is_held = False

    def hold(self) -> None:
        """Stops reading until `release`."""
        self._is_held = True
        self.pause_reading()

    def release(self) -> None:
        """Ends holding; reading resumes when somebody resumes it."""
        self._is_held = False

    def resume_reading(self) -> None:
        """Reads on, unless reading is held."""
        if self.read_paused and not self._is_held:
            self.read_paused = False
            self._transport.resume_reading()


class ExpectingCycle(RequestResponseCycle):
    """The cycle of a client that waits to be told to send its body.

    A client that gets its answer instead may never send the body. The server cannot know whether the next
    bytes are that body or another request. Such an answer therefore ends the connection (RFC 9110 section
    10.1.1).
    """

    async def send(self, message: ASGISendEvent) -> None:
        """Sends, and closes where the client was never told to go on."""
        if self.waiting_for_100_continue:
            self.keep_alive = False
        await super().send(message)


class UntilCloseCycle(RequestResponseCycle):
    """The cycle of a client of HTTP/1.0, which does not know chunks.

    A body of unknown length ends where the connection does (RFC 9112 sections 6.1 and 6.3).
    """

    _ends_with_connection: bool = False

    async def send(self, message: ASGISendEvent) -> None:
        """Sends a body as it comes where its length is not told, and closes behind it."""
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            if _LENGTH not in names:
                self._ends_with_connection = True
                self.keep_alive = False
                self.chunked_encoding = False
        elif message["type"] == "http.response.body" and self._ends_with_connection:
            # The base class compares each piece with the rest of the whole.
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


def new_cycle(protocol: HttpToolsProtocol, head: RequestHead) -> RequestResponseCycle:
    """Returns the cycle of a request on a connection."""
    scope: HTTPScope = {
        "type": "http",
        "asgi": {"version": protocol.asgi_version, "spec_version": _SPEC_VERSION},
        "http_version": head.version,
        "server": protocol.server,
        "client": protocol.client,
        "scheme": protocol.scheme or "http",
        "method": head.method,
        "root_path": protocol.root_path,
        # A path that reaches anything has no escapes, so there are none to take out.
        "path": protocol.root_path + head.path.decode("ascii"),
        "raw_path": protocol.root_path.encode("ascii") + head.path,
        "query_string": head.query,
        "headers": head.headers,
        "state": protocol.app_state.copy(),
        "extensions": {EXTENSION: {NOW: protocol.transport.abort}},
    }
    return _kind_of(head)(
        scope=scope,
        transport=protocol.transport,
        flow=protocol.flow,
        logger=protocol.logger,
        access_logger=protocol.access_logger,
        access_log=protocol.access_log,
        default_headers=protocol.server_state.default_headers,
        message_event=asyncio.Event(),
        expect_100_continue=head.expects_continue,
        keep_alive=head.keep_alive,
        on_response=protocol.on_response_complete,
    )


def _kind_of(head: RequestHead) -> type[RequestResponseCycle]:
    if head.version == "1.0":
        return UntilCloseCycle
    return ExpectingCycle if head.expects_continue else RequestResponseCycle
