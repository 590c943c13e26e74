"""A placing call that is answered straight from the protocol, as uvicorn's connections see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Headers = Sequence[tuple[bytes, bytes]]

CLOSE: Final = (b"connection", b"close")


class _NobodyWaits:
    """Stands where uvicorn keeps the event that wakes an application; here is none."""

    def set(self) -> None:
        """Wakes nobody."""


_NOBODY_WAITS: Final = _NobodyWaits()


class DirectCall:
    """The request and its answer. It takes the place of a connection's request and response cycle.

    `send` gets the answer's bytes, and whether the connection ends with it; `pass_on` gets the call when the
    application must answer.
    """

    __slots__ = (
        "_pass_on",
        "_send",
        "body",
        "disconnected",
        "headers",
        "keep_alive",
        "response_complete",
        "target",
    )
    message_event = _NOBODY_WAITS

    def __init__(
        self,
        target: bytes,
        headers: Headers,
        *,
        keep_alive: bool,
        send: Callable[[DirectCall, list[bytes]], None],
        pass_on: Callable[[DirectCall], None],
    ) -> None:
        self.target, self.headers, self.body = target, headers, b""
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False
        self._send, self._pass_on = send, pass_on

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Sends the answer; `headers` are whole lines, to which those of the connection are added."""
        self._send(self, [STATUS_LINE[status], headers, b"content-length: %d\r\n" % len(body), body])

    def decline(self) -> None:
        """Has the application answer, unless an answer was sent already."""
        if not self.response_complete:
            self._pass_on(self)


class HeaderLines:
    """The headers that a server puts into every response, as lines that are made once a second."""

    def __init__(self) -> None:
        self._headers: Headers = ()
        self._lines = b""
        self._close = False

    def of(self, headers: Headers) -> tuple[bytes, bool]:
        """Returns the lines, without the one that ends the connection, and whether it is among them."""
        # The server replaces the list when a header of it changes.
        if headers is not self._headers:
            self._headers = headers
            self._lines = b"".join(b"%b: %b\r\n" % pair for pair in headers if pair != CLOSE)
            self._close = CLOSE in headers
        return self._lines, self._close
