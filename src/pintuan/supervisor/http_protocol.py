"""uvicorn's HTTP/1.1 protocol, taught to give up on requests that never end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    import uvicorn
    from uvicorn.server import ServerState

HEAD_BYTES_MAX: Final = 64 * 1024
"""A request's line and headers; what arrived together with the head's first byte is not counted."""
REQUEST_WAIT_S_MAX: Final = 30.0
"""For a whole head, and for each further piece of a body."""

# RFC 6585 section 5.
_HEAD_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class ImpatientProtocol(HttpToolsProtocol):
    """Closes a connection whose request is too long in coming, or whose head is too large.

    uvicorn keeps a head of any size in memory, and waits for ever for the rest of a request: a stranger with
    one connection could fill the memory, and one with many could take all of them.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = False
        self._in_body = False
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # As uvicorn has it.
        """Waits for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what came, and decides what is still waited for."""
        was_in_head = self._in_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if was_in_head and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse_head()
                return
        is_whole = not self._in_head and self._is_answering
        if self._in_body or is_whole:
            self._stop_waiting()
        if not is_whole or self._in_body:
            self._wait()

    def on_message_begin(self) -> None:
        """Notes that a request has begun."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Notes that the body comes next."""
        self._in_head, self._in_body = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Notes that the request is whole."""
        self._in_body = False
        super().on_message_complete()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        """Gives up after a while, unless that was decided before."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_WAIT_S_MAX, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.flow.read_paused:
            # It is the application that lets the client wait.
            self._wait()
        else:
            self.transport.close()

    def _refuse_head(self) -> None:
        if not self._is_answering:
            self.transport.write(_HEAD_TOO_LARGE)
        self.transport.close()
