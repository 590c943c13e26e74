"""uvicorn's HTTP/1.1 protocol, taught to read a connection in one way only, and within bounds.

A proxy and the server must see the same messages in the bytes of a connection, or one client's body becomes
another's request. Every message is therefore framed by RFC 9112 section 6, upgrades are ignored and trailers
dropped. In any doubt the connection ends.

What is kept for a connection is bounded as well: a head and what is not body in a message, the requests that
were read before their turn came (those of one slice), and the bytes that wait behind them (those of one read,
because nothing more is read meanwhile).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httptools
import structlog

from pintuan.base.telemetry import metrics
from pintuan.http.protocol.message_faults import Fault
from pintuan.http.protocol.request_cycle import RequestHead, new_cycle
from pintuan.http.protocol.request_target import TARGET_BYTES_MAX, is_authority, read_target
from pintuan.http.protocol.timed_protocol import TimedProtocol

if TYPE_CHECKING:
    import asyncio

    import uvicorn
    from uvicorn.server import ServerState

SLICE_BYTES: Final = 1024
"""The bytes parsed at a time. At most as many requests as fit in it are read before their turn."""
HEAD_BYTES_MAX: Final = 64 * 1024
"""A request's line and headers; also what comes between two pieces of a body, and its trailers."""
HEADERS_MAX: Final = 256
"""Beside those of one slice. A header of three bytes takes fifty times as much memory."""

_SLASH: Final = b"/"
_HOST: Final = b"host"
_EXPECT: Final = b"expect"
_CONTINUE: Final = b"100-continue"
_TRANSFER_ENCODING: Final = b"transfer-encoding"
_CHUNKED: Final = b"chunked"
# Names of headers that say where a message ends or whom it is for.
_READ: Final = frozenset({_HOST, _EXPECT, _TRANSFER_ENCODING})
_UPGRADE: Final = b"upgrade"
_SPACE: Final = b" \t"

_logger = structlog.get_logger("pintuan.http")

# There from the start, so that a graph says 0 as long as there was none.
for _fault in Fault:
    metrics.HTTP_FAULTS.labels(str(_fault.status.value))


class FramedProtocol(TimedProtocol):
    """Reads requests one after the other, and ends with a fault where two could be seen in one."""

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
        # The rest of this message is read for its end alone.
        self._is_passed_over = False
        # Nothing is read after this message.
        self._is_last = False
        self._last_words: Fault | None = None
        # An upgrade that is ignored: the head is read once more without it.
        self._rereads = False
        self._version = "1.1"
        self._keeps_alive = True
        self._fault: Fault | None = None
        # The last one that was right: clients send the same one with each request.
        self._host: bytes | None = None
        self._has_host = False
        self._is_coded = False
        # Bytes of this message since its beginning or the last piece of its body.
        self._other_bytes = 0
        self._has_moved = False
        # The bytes behind a request that is still being answered.
        self._kept = b""

    def data_received(self, data: bytes) -> None:
        """Takes what came, or keeps it until its turn; decides what is still waited for."""
        cycle = self.cycle
        # Most requests come when the one before has its answer, so that is asked first.
        if (
            self._is_last or self._kept or not (cycle is None or cycle.response_complete)
        ) and self._must_wait:
            self._keep(data)
            return
        if len(data) <= SLICE_BYTES:
            self._feed(data)
        else:
            self._feed_slices(data)
        if self._is_answering:
            if self._in_body and not self.pipeline:
                self._wait_for_body(len(data))
            else:
                self._deadline_s = None
        elif self._in_body:
            self._wait_for_body(len(data))

    def resume_writing(self) -> None:
        """Reads on where reading stopped because nobody took the refusals."""
        super().resume_writing()
        if not self._is_answering:
            self.flow.resume_reading()

    def on_message_begin(self) -> None:
        """Notes that a request has begun; its state is made when its head is there and not refused."""
        self._in_head, self._is_passed_over, self._other_bytes = True, False, 0
        self._fault, self._has_host, self._is_coded = None, False, False
        self._body_until_s = 0.0
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._wait_for_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Notes a header; a field of the trailer section is dropped (RFC 9110 section 6.5.1)."""
        if not self._in_head:
            return
        name = name.lower()
        if name == _HOST and value == self._host and not self._has_host:
            self._has_host = True
        elif name in _READ:
            # The parser leaves tabs at the end of a value (RFC 9112 section 5.1).
            value = value.strip(_SPACE)
            self._read_header(name, value)
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Has the request answered if it can be read in one way only."""
        self._in_head = False
        if self._is_last or self.transport.is_closing():
            # The client was told that there are no more answers; requests it sent before it knew are passed
            # over.
            self._is_passed_over = True
            return
        if self.parser.should_upgrade():
            self._is_passed_over = self._rereads = True
            return
        self._version = version = self.parser.get_http_version()
        self._keeps_alive = version == "1.1" and self.parser.should_keep_alive()
        is_plain = version == "1.1" and self._has_host and self._fault is None
        if not (is_plain and self.url.startswith(_SLASH) and len(self.url) <= TARGET_BYTES_MAX):
            fault = self._fault or self._fault_of_head(version)
            if fault is not None:
                self._end(fault)
                return
        self._in_body = True
        self.take_head()

    def take_head(self) -> None:
        """Begins to answer a request whose head was just read; the body comes next."""
        self._begin_cycle()

    def on_body(self, body: bytes) -> None:
        """Hands on a piece of the body."""
        self._has_moved = True
        if not self._is_passed_over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Notes that the request is whole."""
        if self._rereads:
            return
        self._in_body = False
        if not self._keeps_alive:
            self._is_last = True
        self.take_end()
        if not self._is_answering:
            self._wait(self.timeout_keep_alive)

    def take_end(self) -> None:
        """Tells who answers the request that it is whole."""
        if not self._is_passed_over:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Goes on with the next request that came meanwhile, or waits for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        begun = self._begin_next()
        if self.transport.is_closing():
            return
        if not begun and self._last_words is not None:
            self._say_last_words(self._last_words)
            return
        if self._kept:
            # In a turn of its own, so that one connection's requests do not hold up those of others.
            self.loop.call_soon(self._go_on)
        else:
            self.flow.resume_reading()
        if begun:
            if self._in_body and not self.pipeline:
                self._wait_for_body(0)
        elif self._in_body:
            # Nobody reads the rest; it only has to end.
            self._body_until_s = 0.0
            self._wait_for_body(0)
        elif self._in_head:
            self._wait_for_head()
        else:
            self._wait(self.timeout_keep_alive)

    def _begin_next(self) -> bool:
        """Begins to answer the request that waits longest, if any."""
        if not self.pipeline:
            return False
        cycle, app = self.pipeline.pop()
        self._start_asgi_task(cycle, app)
        return True

    def _begin_cycle(self) -> None:
        """Has the application answer the request whose head was just read, when its turn comes."""
        target = read_target(self.url)
        if target is None:
            self._in_body = False
            self._end(Fault.TARGET)
            return
        head = RequestHead(
            self.parser.get_method().decode("ascii"),
            self._version,
            target.path,
            target.query,
            self.headers,
            expects_continue=self.expect_100_continue,
            keep_alive=self._keeps_alive,
        )
        is_answering = self._is_answering
        self.cycle = new_cycle(self, head)
        if is_answering:
            self.pipeline.appendleft((self.cycle, self.app))
        else:
            self._start_asgi_task(self.cycle, self.app)

    @property
    def _must_wait(self) -> bool:
        """Says whether parsing must pause, because a whole request has no answer yet."""
        if self._kept or self._is_last:
            return True
        cycle = self.cycle
        return (
            cycle is not None and not cycle.response_complete and (not self._in_body or bool(self.pipeline))
        )

    def _feed_slices(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._feed(rest[:SLICE_BYTES])
            rest = rest[SLICE_BYTES:]
            if self._must_wait:
                self._keep(bytes(rest))
                return

    def _feed(self, piece: bytes | memoryview) -> None:
        """Parses what came; the callbacks above are called on the way."""
        self._has_moved = False
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(bytes(piece[upgrade.args[0] :]))
        except httptools.HttpParserCallbackError:
            _logger.exception("a request could not be begun")
            self._end(Fault.MALFORMED)
        except httptools.HttpParserError:
            self._end(Fault.MALFORMED)
        if self._in_head or (self._in_body and not self._has_moved):
            self._other_bytes += len(piece)
            if self._other_bytes > HEAD_BYTES_MAX or (self._in_head and len(self.headers) > HEADERS_MAX):
                self._end(Fault.HEAD_TOO_LARGE)

    def _keep(self, data: bytes) -> None:
        """Keeps what came too early, and reads nothing more; drops what came after the last message."""
        if data and not self._is_last:
            self._kept += data
            self.flow.hold()

    def _go_on(self) -> None:
        """Takes what was kept, as far as its turn has come."""
        kept, self._kept = self._kept, b""
        if not kept or self.transport.is_closing():
            return
        self.flow.release()
        self.data_received(kept)
        if not self._kept and not self.transport.is_closing():
            self.flow.resume_reading()

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Goes on with HTTP/1.1, as a server may (RFC 9110 section 7.8).

        The parser takes a request that asks for another protocol for one without a body, whatever its head
        says. A parser that ignores upgrades therefore reads the head once more, and `rest` after it.
        """
        self._rereads = False
        if self._is_last:
            return
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._end(Fault.CONNECT)
            return
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode("ascii"))]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != _UPGRADE]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(b"\r\n".join((*lines, b"", rest)))

    def _read_header(self, name: bytes, value: bytes) -> None:
        if name == _HOST:
            if self._has_host or not is_authority(value):
                self._fault = Fault.HOST
            else:
                self._host = value
            self._has_host = True
        elif name == _EXPECT:
            self.expect_100_continue = value.lower() == _CONTINUE
        else:
            if self._is_coded or value.lower() != _CHUNKED:
                self._fault = Fault.CODING
            self._is_coded = True

    def _fault_of_head(self, version: str) -> Fault | None:
        if version == "1.1":
            if not self._has_host:
                return Fault.HOST
        elif version == "1.0":
            # RFC 9112 section 6.1 and RFC 9110 section 10.1.1: there was neither.
            self.expect_100_continue = False
            if self._is_coded:
                return Fault.CODED_1_0
        else:
            return Fault.VERSION
        if len(self.url) > TARGET_BYTES_MAX:
            return Fault.TARGET_TOO_LONG
        return None if self.url.startswith(_SLASH) else self._take_authority()

    def _take_authority(self) -> Fault | None:
        """Makes a target in absolute-form an ordinary one; its host counts, and the header's does not.

        RFC 9112 section 3.2.2.
        """
        target = read_target(self.url)
        if target is None or target.authority is None:
            return Fault.TARGET
        self.url = target.path + b"?" + target.query if target.query else target.path
        others = [header for header in self.headers if header[0] != _HOST]
        self.headers = [(_HOST, target.authority), *others]
        return None

    def _end(self, fault: Fault) -> None:
        """Ends the connection with a fault, after what is still to be answered before it."""
        if self._is_last or self.transport.is_closing():
            return
        self._is_last = self._is_passed_over = True
        metrics.HTTP_FAULTS.labels(str(fault.status.value)).inc()
        if not self._is_answering:
            # A message that was refused has its answer already; a client takes another one for the next's.
            if self._in_body and self._is_answered:
                self.transport.close()
            else:
                self._say_last_words(fault)
        elif not self._in_body:
            self._last_words = fault
        elif self.pipeline:
            # A request whose body went wrong before its turn is never begun.
            self.pipeline.popleft()
            self._last_words = fault
        elif self.cycle.response_started:
            self.transport.close()
        else:
            self._say_last_words(fault)

    @property
    def _is_answered(self) -> bool:
        """Says whether the message being read was answered before it came whole."""
        return True

    def _say_last_words(self, fault: Fault) -> None:
        self.transport.write(fault.answer)
        self.transport.close()
