"""One watcher's open response.

A stream keeps no queue. It has one slot for the state to be sent, where a newer state replaces an unsent one.
Its server's buffer is bounded too (uvicorn lets `send` wait above 64 KiB). A reader that does not read costs
that much at most, and only until the deadline of a send is over.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from pintuan.buying.live.snapshots import HEARTBEAT, Snapshot, retry_hint

if TYPE_CHECKING:
    from collections.abc import Generator

    from litestar.types import Message, Receive, Send

SEND_DEADLINE_S: Final = 10.0
# The time a slow reader may still come back to find the response ended; then the server cuts it off.
LINGER_S: Final = 30.0
_OK: Final = 200
_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    # A proxy such as nginx must not collect what should arrive at once.
    (b"x-accel-buffering", b"no"),
)

_logger = structlog.get_logger("pintuan.buying.live")


class Stream:
    """Sends at once, or from a task that exists only while its reader lets it wait."""

    __slots__ = ("_last", "_leave", "_next", "_send", "_sender", "_started", "drained", "slow", "tag")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._next: bytes | None = None
        self._last = False
        self._started = False
        self._sender: asyncio.Task[None] | None = None
        self._leave: asyncio.Timeout | None = None
        self.tag: str | None = None
        self.drained = False
        self.slow = False

    def show(self, snapshot: Snapshot) -> None:
        """Sends a state unless it is the one shown last; after a terminal one the response ends."""
        if self._last or snapshot.tag == self.tag:
            return
        self.tag = snapshot.tag
        self._last = snapshot.ended
        self._offer(snapshot.event if self._started else retry_hint() + snapshot.event)

    def beat(self) -> None:
        """Sends a comment, so that nobody between here and the reader takes the connection for idle."""
        if self._sender is None and not self._last:
            self._offer(HEARTBEAT)

    def end(self) -> None:
        """Ends the response; the waiting state is still sent, and the client is told when to come back."""
        if not self._last:
            self._last = self.drained = True
            self._offer((self._next or b"") + retry_hint())

    async def until_gone(self, receive: Receive) -> None:
        """Returns when the response has ended, its reader went away, or a send took too long."""
        try:
            async with asyncio.timeout(None) as self._leave:
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            if not self.slow:
                raise
        finally:
            self._last = True
            self._leave = None
            if self._sender is not None:
                self._sender.cancel()

    async def linger(self) -> None:
        """Ends the response of a slow reader as soon as it reads on, within `LINGER_S`."""
        if not self._started:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._send({"type": "http.response.body", "body": retry_hint(), "more_body": False})

    def _offer(self, chunk: bytes) -> None:
        self._next = chunk
        if self._sender is not None:
            return
        if not self._started:
            self._sender = asyncio.create_task(self._deliver(None))
            return
        # Most readers read: a state that need not wait is sent here and now, without the cost of a task.
        steps = self._send(self._take()).__await__()
        try:
            waits_for = next(steps)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - one reader's connection is nothing to those shown next.
            _logger.warning("state not sent", error=repr(error))
            self._last = True
            return
        self._sender = asyncio.create_task(self._deliver(_Rest(waits_for, steps)))

    def _take(self) -> Message:
        chunk, self._next = self._next or b"", None
        return {"type": "http.response.body", "body": chunk, "more_body": not self._last}

    async def _deliver(self, begun: _Rest | None) -> None:
        """Sends what there is to send, after what is `begun`."""
        try:
            if begun is not None:
                async with asyncio.timeout(SEND_DEADLINE_S):
                    await begun
            while self._next is not None:
                async with asyncio.timeout(SEND_DEADLINE_S):
                    if not self._started:
                        await self._send(
                            {"type": "http.response.start", "status": _OK, "headers": list(_HEADERS)}
                        )
                        self._started = True
                    await self._send(self._take())
        except TimeoutError:
            self.slow = True
            self._give_up()
        finally:
            self._sender = None

    def _give_up(self) -> None:
        self._last = True
        self._next = None
        if self._leave is not None:
            self._leave.reschedule(asyncio.get_running_loop().time())


class _Rest:
    """The rest of an awaitable that was begun outside of a task and turned out to wait for something."""

    __slots__ = ("_steps", "_waits_for")

    def __init__(self, waits_for: Any, steps: Generator[Any, None, None]) -> None:
        self._waits_for = waits_for
        self._steps = steps

    def __await__(self) -> Generator[Any, None, None]:
        waits_for = self._waits_for
        while True:
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is for whoever waits inside.
                step = partial(self._steps.throw, error)
            else:
                step = partial(next, self._steps)
            try:
                waits_for = step()
            except StopIteration:
                return
