"""The connections of an API process: placing calls are refused early, or answered without the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from pintuan.http.bodies import BODY_SIZE_MAX
from pintuan.http.protocol.counted_call import CountedCall
from pintuan.http.protocol.direct_call import CLOSE, DirectCall, HeaderLines
from pintuan.http.protocol.framed_protocol import FramedProtocol
from pintuan.http.protocol.placement_gate import PlacementGate, route_of, whole_call
from pintuan.http.protocol.request_cycle import RequestHead, new_cycle
from pintuan.http.protocol.unread_answers import UnreadAnswers

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    import uvicorn
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from pintuan.http.protocol.connection_limit import ConnectionLimit
    from pintuan.http.protocol.direct import Answering


class ImpatientProtocol(FramedProtocol):
    """Answers placing calls sooner than the application would, and hands on all others.

    With a `gate`, a placing call is refused as soon as its head is there when too many are under way. No
    task, no scope and no layer of the application is made for it, and its body is passed over unread. With
    `placing`, those that are plainly right are answered without the application, too.
    """

    gate: ClassVar[PlacementGate | None] = None
    placing: ClassVar[Answering | None] = None
    header_lines: ClassVar[HeaderLines] = HeaderLines()

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._route: str | None = None
        self._counted: CountedCall | None = None
        self._direct: DirectCall | None = None

    def data_received(self, data: bytes) -> None:
        """Takes what came, and refuses it without parsing it where that can be."""
        gate = self.gate
        if gate is None or not gate.is_full or not self._refuses_whole(gate, data):
            super().data_received(data)

    def take_head(self) -> None:
        """Refuses the request, or begins to answer it; the body comes next."""
        gate = self.gate
        if gate is not None and self.parser.get_method() == b"POST":
            self._route = route_of(self.url)
            # On a connection answers keep their order: the turn of one that must wait comes later.
            if self._route is not None and gate.is_full and not self._is_answering:
                self._is_passed_over = True
                # A client that waits to be told to send its body may not send it any more (RFC 9110 10.1.1).
                keep_alive = self._keeps_alive and not self.expect_100_continue
                self._refuse(gate, self._route, self.headers, keep_alive=keep_alive)
                return
            if self._route is not None and self._is_plain:
                self._direct = DirectCall(
                    self.url,
                    self.headers,
                    keep_alive=self._keeps_alive,
                    send=self._send_direct,
                    pass_on=self._pass_on,
                )
                return
        else:
            self._route = None
        self._begin_cycle()

    def on_body(self, body: bytes) -> None:
        """Hands on a piece of the body, unless the request was refused."""
        if self._direct is None:
            super().on_body(body)
            return
        self._has_moved = True
        self._direct.body += body
        if len(self._direct.body) > BODY_SIZE_MAX:
            self._begin_cycle_after_all(self._direct)

    def take_end(self) -> None:
        """Answers a call that is whole by now, or tells who does."""
        direct = self._direct
        if direct is not None:
            if self._answers(direct):
                self._direct = None
                return
            self._begin_cycle_after_all(direct)
        super().take_end()

    def on_response_complete(self) -> None:
        """Ends counting the call, and goes on."""
        if self._counted is not None:
            self._counted.leave()
        super().on_response_complete()

    @property
    def _is_answered(self) -> bool:
        return self._direct is None

    def _answers(self, call: DirectCall) -> bool:
        """Says whether the call is answered without the application, or refused because others
        were faster.
        """
        if self.placing is None:
            return False
        if self.gate is not None and self._route is not None and self.gate.is_full:
            self._refuse(self.gate, self._route, call.headers, keep_alive=call.keep_alive)
            return True
        # From here on what comes on the connection waits for its turn.
        before, self.cycle = self.cycle, cast("RequestResponseCycle", call)
        if not self.placing.begin(call):
            self.cycle = before
            return False
        if self.gate is not None and not call.response_complete:
            self._counted = CountedCall(self.app, self.gate, self.loop)
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
        head = RequestHead(
            "POST",
            "1.1",
            call.target,
            b"",
            call.headers,
            expects_continue=False,
            keep_alive=call.keep_alive,
        )
        cycle = new_cycle(self, head)
        cycle.body += call.body
        cycle.more_body = False
        cycle.disconnected = self.transport.is_closing()
        cycle.message_event.set()
        call.response_complete = True
        if cast("object", self.cycle) is call:
            self.cycle = cycle
        # It is counted already, and stays so.
        super()._start_asgi_task(cycle, self.app if self._counted is None else self._counted)

    def _begin_next(self) -> bool:
        while self.pipeline:
            cycle, app = self.pipeline.pop()
            if self._begins(cycle):
                self._start_asgi_task(cycle, app)
                return True
            if self.transport.is_closing():
                return False
        return False

    def _begins(self, cycle: RequestResponseCycle) -> bool:
        """Says whether the next request of the pipeline begins; otherwise it has been refused."""
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
            app = self._counted = CountedCall(app, self.gate, self.loop)
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
    def _is_plain(self) -> bool:
        """Says whether the request, judged by its head, may be answered without the application."""
        return (
            self.placing is not None
            and not self._is_answering
            and not self.expect_100_continue
            and not self.flow.write_paused
            and self._version == "1.1"
        )

    def _refuses_whole(self, gate: PlacementGate, data: bytes) -> bool:
        """Refuses what came without parsing it, if that is one whole call that places."""
        if self._in_head or self._in_body or self._must_wait:
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


def gated(
    gate: PlacementGate,
    placing: Answering | None = None,
    connection_limit: ConnectionLimit | None = None,
) -> type[ImpatientProtocol]:
    """Returns the protocol for a server all of whose connections share what is given."""
    shared = {
        "gate": gate,
        "placing": placing,
        "connection_limit": connection_limit,
        "unread": UnreadAnswers(),
    }
    return type("GatedProtocol", (ImpatientProtocol,), shared)
