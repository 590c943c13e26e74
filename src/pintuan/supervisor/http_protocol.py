"""uvicorn's HTTP/1.1 protocol, taught to give up on requests that never end, and to refuse early.

What every request pays is kept small: a connection has one timer, which looks now and then whether something
is overdue, where uvicorn sets and cancels one for each request.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from pintuan.bodies import BODY_SIZE_MAX
from pintuan.supervisor.direct_call import CLOSE, DirectCall, HeaderLines
from pintuan.supervisor.placement_gate import PlacementGate, route_of, whole_call

if TYPE_CHECKING:
    from collections.abc import Iterable

    import uvicorn
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
    from uvicorn.server import ServerState

    from pintuan.orders.direct import DirectPlacing

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

    With a `gate`, a call that places is refused as soon as its head is there when too many are under way: no
    task, no scope and no layer of the application is made for it, and its body is let pass unread. With
    `placing`, those that are plainly right are answered without the application, too.
    """

    gate: ClassVar[PlacementGate | None] = None
    placing: ClassVar[DirectPlacing | None] = None
    header_lines: ClassVar[HeaderLines] = HeaderLines()

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
        self._is_refused = False
        self._route: str | None = None
        self._counted: _Counted | None = None
        self._direct: DirectCall | None = None
        self._head_bytes = 0
        # When to give up on the client, by the loop's time; None while it is the application that works.
        self._deadline_s: float | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # As uvicorn has it.
        """Waits for the first request."""
        super().connection_made(transport)
        self._wait(REQUEST_WAIT_S_MAX)
        self._alarm = self.loop.call_later(self._look_every_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what came, and decides what is still waited for."""
        gate = self.gate
        if gate is not None and gate.is_full and self._refuses_whole(gate, data):
            return
        was_in_head = self._in_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_body:
            self._wait(REQUEST_WAIT_S_MAX)
        elif self._in_head:
            if was_in_head:
                self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse_head()
        elif self._is_answering:
            self._deadline_s = None

    def resume_writing(self) -> None:
        """Reads on where reading stopped because nobody took the refusals."""
        super().resume_writing()
        if not self._is_answering:
            self.flow.resume_reading()

    def on_message_begin(self) -> None:
        """Notes that a request has begun; what it needs is made when its head is there and not refused."""
        self._in_head, self._is_refused, self._head_bytes = True, False, 0
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._wait(REQUEST_WAIT_S_MAX)

    def on_headers_complete(self) -> None:
        """Refuses the request, or begins to answer it; the body comes next."""
        self._in_head, self._in_body = False, True
        if self.transport.is_closing():
            # The client was told that there are no more answers; what it sent before it knew is passed over.
            self._is_refused = True
            return
        gate = self.gate
        if gate is not None and self.parser.get_method() == b"POST":
            self._route = route_of(self.url)
            # On a connection answers keep their order: the turn of one that must wait comes later.
            if self._route is not None and gate.is_full and not self._is_answering:
                self._is_refused = True
                # A client that waits to be told to send its body may not send it any more (RFC 9110 10.1.1).
                keep_alive = self._may_keep_alive and not self.expect_100_continue
                self._refuse(gate, self._route, self.headers, keep_alive=keep_alive)
                return
            if self._route is not None and self._is_plain:
                self._direct = DirectCall(
                    self.url,
                    self.headers,
                    keep_alive=self.parser.should_keep_alive(),
                    send=self._send_direct,
                    pass_on=self._pass_on,
                )
                return
        else:
            self._route = None
        self._begin_cycle()

    def _begin_cycle(self) -> None:
        """Has the application answer the request whose head was just read."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hands on a piece of the body, unless the request was refused."""
        if self._direct is not None:
            self._direct.body += body
            if len(self._direct.body) > BODY_SIZE_MAX:
                self._begin_cycle_after_all(self._direct)
        elif not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Notes that the request is whole."""
        self._in_body = False
        direct = self._direct
        if direct is not None and self._answers(direct):
            self._direct = None
            return
        if direct is not None:
            self._begin_cycle_after_all(direct)
        if not self._is_refused:
            super().on_message_complete()
        if not self._is_answering:
            self._wait(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        """Goes on with the next request that came meanwhile, or waits for one."""
        self.server_state.total_requests += 1
        if self._counted is not None:
            self._counted.leave()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        while self.pipeline:
            cycle, app = self.pipeline.pop()
            if self._begins(cycle):
                self._start_asgi_task(cycle, app)
                return
            if self.transport.is_closing():
                return
        if not self._in_head and not self._in_body:
            self._wait(self.timeout_keep_alive)

    def _answers(self, call: DirectCall) -> bool:
        """Whether the call is answered without the application, or refused because others were faster."""
        if self.placing is None:
            return False
        if self.gate is not None and self._route is not None and self.gate.is_full:
            self._refuse(self.gate, self._route, call.headers, keep_alive=call.keep_alive)
            self._wait(self.timeout_keep_alive)
            return True
        # From here on what comes on the connection waits for its turn.
        before, self.cycle = self.cycle, cast("RequestResponseCycle", call)
        if not self.placing.begin(call):
            self.cycle = before
            return False
        if self.gate is not None and not call.response_complete:
            self._counted = _Counted(self.app, self.gate, self.loop)
        return True

    def _begin_cycle_after_all(self, call: DirectCall) -> None:
        """Has the application answer a call that turned out not to be plain while it came."""
        self._direct = None
        self._begin_cycle()
        super().on_body(call.body)

    def _send_direct(self, call: DirectCall, parts: list[bytes]) -> None:
        lines, close = self.header_lines.of(self.server_state.default_headers)
        call.response_complete = True
        if not self.transport.is_closing():
            close = close or not call.keep_alive
            status, headers, length, body = parts
            ending = b"connection: close\r\n\r\n" if close else b"\r\n"
            self.transport.write(b"".join((status, lines, headers, length, ending, body)))
            if close:
                self.transport.close()
        self.on_response_complete()

    def _pass_on(self, call: DirectCall) -> None:
        """Has the application answer a call whose turn it is, and which was to be answered without it."""
        path = self.root_path + call.target.decode("ascii")
        scope: HTTPScope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": "POST",
            "root_path": self.root_path,
            "path": path,
            "raw_path": path.encode("ascii"),
            "query_string": b"",
            "headers": call.headers,
            "state": self.app_state.copy(),
            "extensions": {},
        }
        cycle = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=call.keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.body += call.body
        cycle.more_body = False
        cycle.disconnected = self.transport.is_closing()
        cycle.message_event.set()
        call.response_complete = True
        if cast("object", self.cycle) is call:
            self.cycle = cycle
        # It is counted already, and stays so.
        super()._start_asgi_task(cycle, self.app if self._counted is None else self._counted)

    def _begins(self, cycle: RequestResponseCycle) -> bool:
        """Whether the next request of the pipeline begins; otherwise it has been refused."""
        scope = cycle.scope
        self._route = route_of(scope["raw_path"]) if scope["method"] == "POST" else None
        if self.gate is None or self._route is None or not self.gate.is_full:
            return True
        cycle.response_complete = True
        keep_alive = cycle.keep_alive and not cycle.waiting_for_100_continue
        self._refuse(self.gate, self._route, scope["headers"], keep_alive=keep_alive)
        return False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begins to answer; a call that places is counted from here on."""
        if self.gate is not None and self._route is not None:
            app = self._counted = _Counted(app, self.gate, self.loop)
        super()._start_asgi_task(cycle, app)

    def _refuse(
        self, gate: PlacementGate, route: str, headers: Iterable[tuple[bytes, bytes]], *, keep_alive: bool
    ) -> None:
        default_headers = self.server_state.default_headers
        close = not keep_alive or CLOSE in default_headers
        self.transport.write(gate.refuse(route, headers, default_headers, close=close))
        self.server_state.total_requests += 1
        if close:
            self.transport.close()
        elif self.flow.write_paused:
            self.flow.pause_reading()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _is_plain(self) -> bool:
        """Whether the request, as far as its head tells, may be answered without the application."""
        return (
            self.placing is not None
            and not self._is_answering
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
        )

    @property
    def _may_keep_alive(self) -> bool:
        return bool(self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive())

    @property
    def _look_every_s(self) -> float:
        return min(REQUEST_WAIT_S_MAX, self.timeout_keep_alive)

    def _wait(self, wait_s: float) -> None:
        self._deadline_s = self.loop.time() + wait_s

    def _look(self) -> None:
        """Gives up on a client that is overdue, and looks again before anything else can be."""
        now_s = self.loop.time()
        if self._deadline_s is not None and now_s >= self._deadline_s:
            if not self.flow.read_paused:
                self._alarm = None
                self.transport.close()
                return
            # It is the application that lets the client wait.
            self._wait(REQUEST_WAIT_S_MAX)
        wait_s = self._look_every_s
        if self._deadline_s is not None:
            wait_s = min(wait_s, self._deadline_s - now_s)
        self._alarm = self.loop.call_later(wait_s, self._look)

    def _refuses_whole(self, gate: PlacementGate, data: bytes) -> bool:
        """Refuses what came without parsing it, if that is one whole call that places."""
        if self._in_head or self._in_body or self._is_answering:
            return False
        if self.flow.write_paused or self.transport.is_closing():
            return False
        call = whole_call(data)
        if call is None:
            return False
        route, headers = call
        self._refuse(gate, route, headers, keep_alive=True)
        self._wait(self.timeout_keep_alive)
        return True

    def _refuse_head(self) -> None:
        if not self._is_answering:
            self.transport.write(_HEAD_TOO_LARGE)
        self.transport.close()


class _Counted:
    """The application for one call that places, counted until it is answered.

    The work for a client that has gone counts until it ends.
    """

    __slots__ = ("_app", "_gate", "_has_left")

    def __init__(self, app: ASGI3Application, gate: PlacementGate, loop: asyncio.AbstractEventLoop) -> None:
        self._app, self._gate = app, gate
        gate.enter(loop)
        self._has_left = False

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            self.leave()

    def leave(self) -> None:
        """Ends being counted; doing it twice changes nothing."""
        if not self._has_left:
            self._has_left = True
            self._gate.leave()


def gated(gate: PlacementGate, placing: DirectPlacing | None = None) -> type[ImpatientProtocol]:
    """Returns the protocol for a server all of whose connections share `gate`, and `placing`."""
    return type("GatedProtocol", (ImpatientProtocol,), {"gate": gate, "placing": placing})
