"""A proxy between two parties of a marketplace that can be told to misbehave.

    link = await open_link("/path/of/a.sock")   or ("127.0.0.1", port)
    link.stall(); link.resume()                 nothing passes, and nobody is told
    link.cut(); link.refuse(); link.accept()    connections are reset; new ones end at once, and pass again
    link.slow_down(0.1)                         everything takes so many seconds longer each way; 0 ends it
    link.half_close("upstream")                 the server sees the end of what clients send, or vice versa

It runs in the harness' own event loop. What was read from one side and not written to the other is bounded by
the transports: a side whose peer does not read is not read either.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Upstream = str | tuple[str, int]
Side = Literal["client", "upstream"]

HOST: Final = "127.0.0.1"
CONNECT_TIMEOUT_S: Final = 5.0
BACKLOG: Final = 512


class _End(asyncio.Protocol):
    """One end of a connection; `peer` is the other."""

    def __init__(self, on_lost: Callable[[], None], on_made: Callable[[], None] = lambda: None) -> None:
        self._on_lost = on_lost
        self._on_made = on_made
        self.transport: asyncio.Transport | None = None
        self.peer: _End | None = None
        self._early: list[bytes] = []
        self._ended = False
        self._told_end = False
        self._delay_s = 0.0
        # When what came last will have been passed on; nothing may overtake it.
        self._clear_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # A stream's.
        self.transport = transport
        self._on_made()

    def delay_by(self, seconds: float) -> None:
        """Lets what comes from here arrive so much later at the other end, in order."""
        self._delay_s = seconds

    def attach(self, peer: _End) -> None:
        """Passes on what came before the other end was there."""
        self.peer = peer
        for data in self._early:
            peer.write(data)
        self._early.clear()
        if self._ended:
            peer.write_eof()

    def data_received(self, data: bytes) -> None:
        if self.peer is None:
            self._early.append(data)
        else:
            self._in_time(self.peer.write, data)

    def eof_received(self) -> bool:
        self._ended = True
        if self.peer is not None:
            self._in_time(self.peer.write_eof)
            self._in_time(self._close_if_done)
        return True  # The other direction may go on.

    def _close_if_done(self) -> None:
        """Ends both ends once neither has anything to say; what is still to be written is."""
        if self.peer is not None and self.peer._ended:
            for end in (self, self.peer):
                if end.transport is not None:
                    end.transport.close()

    def _in_time(self, pass_on: Callable[..., None], *data: bytes) -> None:
        loop = asyncio.get_running_loop()
        if not self._delay_s and loop.time() > self._clear_s:
            pass_on(*data)
            return
        self._clear_s = max(self._clear_s, loop.time() + self._delay_s)
        loop.call_at(self._clear_s, pass_on, *data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature.
        self._ended = True
        self._on_lost()

    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.pause()

    def resume_writing(self) -> None:
        if self.peer is not None:
            self.peer.resume()

    def write(self, data: bytes) -> None:
        # What comes for somebody who was told that nothing would come is lost.
        if self.transport is not None and not self.transport.is_closing() and not self._told_end:
            self.transport.write(data)

    def write_eof(self) -> None:
        if self.transport is not None and not self.transport.is_closing() and not self._told_end:
            self._told_end = True
            self.transport.write_eof()

    def pause(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Pipe:
    """A client's connection and the one made for it to the server."""

    def __init__(self, made: Callable[[_Pipe], None], forget: Callable[[_Pipe], None]) -> None:
        self._forget = forget
        self._gone = False
        self.client = _End(self._end, lambda: made(self))
        self.upstream = _End(self._end)

    async def connect(self, upstream: Upstream) -> None:
        """Connects to the server; a client whose server is not there is cut off."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if isinstance(upstream, str):
                    await loop.create_unix_connection(lambda: self.upstream, upstream)
                else:
                    await loop.create_connection(lambda: self.upstream, *upstream)
        except (OSError, TimeoutError):
            self.client.abort()
            return
        if self._gone:
            # The client had enough before the server was there.
            self.upstream.abort()
            return
        self.upstream.attach(self.client)
        self.client.attach(self.upstream)

    def abort(self) -> None:
        """Resets both sides."""
        self.client.abort()
        self.upstream.abort()

    def _end(self) -> None:
        self._gone = True
        self.abort()
        self._forget(self)


class Link:
    """A listening proxy and all its connections. `upstream` may be changed; it counts for new connections."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.port = 0
        self._server: asyncio.Server | None = None
        self._pipes: set[_Pipe] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._stalled = False
        self._refusing = False
        self._delay_s = 0.0

    @property
    def open_count(self) -> int:
        """How many connections there are."""
        return len(self._pipes)

    async def open(self) -> None:
        """Listens on a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, HOST, 0, backlog=BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    def stall(self) -> None:
        """Reads no more from either side; connections are still accepted, and hang."""
        self._stalled = True
        for pipe in self._pipes:
            pipe.client.pause()
            pipe.upstream.pause()

    def resume(self) -> None:
        """Lets everything pass again."""
        self._stalled = False
        for pipe in tuple(self._pipes):
            pipe.client.resume()
            pipe.upstream.resume()

    def slow_down(self, seconds: float) -> None:
        """Lets everything take so much longer each way, on new connections, too."""
        self._delay_s = seconds
        for pipe in self._pipes:
            pipe.client.delay_by(seconds)
            pipe.upstream.delay_by(seconds)

    def cut(self) -> None:
        """Resets every connection."""
        for pipe in tuple(self._pipes):
            pipe.abort()

    def refuse(self) -> None:
        """Ends every new connection at once."""
        self._refusing = True

    def accept(self) -> None:
        """Lets new connections pass again."""
        self._refusing = False

    def half_close(self, side: Side) -> None:
        """Tells one side of every connection that the other will send no more; the other way stays open."""
        for pipe in tuple(self._pipes):
            (pipe.client if side == "client" else pipe.upstream).write_eof()

    def heal(self) -> None:
        """Undoes whatever is being done."""
        self.accept()
        self.slow_down(0.0)
        self.resume()

    async def close(self) -> None:
        """Ends everything."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._connecting):
            task.cancel()
        self.cut()

    def _accept(self) -> asyncio.Protocol:
        return _Pipe(self._begin, self._pipes.discard).client

    def _begin(self, pipe: _Pipe) -> None:
        if self._refusing:
            pipe.client.abort()
            return
        self._pipes.add(pipe)
        task = asyncio.get_running_loop().create_task(self._connect(pipe))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, pipe: _Pipe) -> None:
        await pipe.connect(self.upstream)
        pipe.client.delay_by(self._delay_s)
        pipe.upstream.delay_by(self._delay_s)
        if self._stalled:
            pipe.client.pause()
            pipe.upstream.pause()


async def open_link(upstream: Upstream) -> Link:
    """Opens a proxy to a server that need not be there yet."""
    link = Link(upstream)
    await link.open()
    return link
