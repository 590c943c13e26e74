"""uvicorn's HTTP/1.1 protocol, taught to give up on clients that are too slow or take too much.

uvicorn waits for ever for the rest of a request and for its answer to be read, and takes any number of
connections from anybody. A stranger could take all of them, and all of the memory.

The cost for every request is kept small. A connection has one timer, which looks now and then whether
something is overdue; uvicorn sets and cancels one for each request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pintuan.http.protocol.message_faults import Fault
from pintuan.http.protocol.request_cycle import HeldFlow
from pintuan.http.protocol.unread_answers import (
    BYTES_PER_S_MIN,
    GRACE_S,
    UNCOUNTED_BYTES_MAX,
    UnreadAnswers,
)

if TYPE_CHECKING:
    import asyncio

    import uvicorn
    from uvicorn.server import ServerState

    from pintuan.http.protocol.connection_limit import ConnectionLimit

REQUEST_WAIT_S_MAX: Final = 30.0
"""The time for a whole head, for each further piece of a body, and for the rest of an unread body."""
BODY_BYTES_PER_S_MIN: Final = 4096
"""A body has `REQUEST_WAIT_S_MAX` and this rate to come in, however steadily it trickles."""


class TimedProtocol(HttpToolsProtocol):
    """Knows when to give up on the client of a connection, and how many it may have."""

    connection_limit: ClassVar[ConnectionLimit | None] = None
    unread: ClassVar[UnreadAnswers] = UnreadAnswers()
    flow: HeldFlow

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # When to give up on the client, by the loop's time; None while it is the application that works.
        self._deadline_s: float | None = None
        self._body_until_s = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._limit_key = ""
        self._read_alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # As uvicorn has it.
        """Waits for the first request, unless the address has too many connections."""
        super().connection_made(transport)
        self.flow = HeldFlow(transport)
        transport.set_write_buffer_limits(high=UNCOUNTED_BYTES_MAX)
        if self.connection_limit is not None:
            key = self.connection_limit.enter(self.client)
            if key is None:
                self._end(Fault.CONNECTIONS)
                return
            self._limit_key = key
        self._wait_for_head()
        self._alarm = self.loop.call_later(self._look_every_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self.connection_limit is not None:
            self.connection_limit.leave(self._limit_key)
            self._limit_key = ""
        self._stop_waiting_for_reader()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Waits for the client to take what was written, within bounds."""
        super().pause_writing()
        self._stop_waiting_for_reader()
        wait_s = GRACE_S + self.waiting_bytes() / BYTES_PER_S_MIN
        self._read_alarm = self.loop.call_later(wait_s, self.unread.give_up, self, "slow")
        self.unread.begin(self, self._limit_key, self.loop.time())

    def resume_writing(self) -> None:
        """Goes on writing, because the client has taken most of the bytes."""
        self._stop_waiting_for_reader()
        super().resume_writing()

    def waiting_bytes(self) -> int:
        """Returns how much was written and not taken."""
        return self.transport.get_write_buffer_size()

    def hang_up(self) -> None:
        """Ends the connection and drops what was not taken."""
        self.transport.abort()

    def _stop_waiting_for_reader(self) -> None:
        if self._read_alarm is not None:
            self._read_alarm.cancel()
            self._read_alarm = None
            self.unread.end(self)

    def _end(self, fault: Fault) -> None:
        """Ends the connection with a fault."""
        self.transport.write(fault.answer)
        self.transport.close()

    def _wait(self, wait_s: float) -> None:
        self._deadline_s = self.loop.time() + wait_s

    def _wait_for_head(self) -> None:
        self._deadline_s = self.loop.time() + REQUEST_WAIT_S_MAX

    def _wait_for_body(self, came_bytes: int) -> None:
        """Waits for a further piece of the body, and for its end as long as its length lets one expect."""
        now_s = self.loop.time()
        if not self._body_until_s:
            self._body_until_s = now_s + REQUEST_WAIT_S_MAX
        elif self._is_answering:
            self._body_until_s += came_bytes / BODY_BYTES_PER_S_MIN
        self._deadline_s = min(now_s + REQUEST_WAIT_S_MAX, self._body_until_s)

    def _look(self) -> None:
        """Gives up on a client that is overdue, and looks again before anything else can be."""
        now_s = self.loop.time()
        if self._deadline_s is not None and now_s >= self._deadline_s:
            if not self.flow.read_paused:
                self._alarm = None
                # Closing would wait for the client to take the rest.
                if self.waiting_bytes():
                    self.hang_up()
                else:
                    self.transport.close()
                return
            # It is the application that lets the client wait.
            self._deadline_s = self._body_until_s = now_s + REQUEST_WAIT_S_MAX
        wait_s = self._look_every_s
        if self._deadline_s is not None:
            wait_s = min(wait_s, self._deadline_s - now_s)
        self._alarm = self.loop.call_later(wait_s, self._look)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _look_every_s(self) -> float:
        return min(REQUEST_WAIT_S_MAX, self.timeout_keep_alive)
