"""The process that looks on: `python -m benchmarks.watchers`, driven by `benchmarks.watcher_process`.

It reads a `Watch` (msgpack, after its size in eight bytes) from stdin, opens that many streams of one group,
and prints `Connected` once all have shown a first state. From then on it notes when all of them had seen at
least how many members, until a line comes on stdin; then it prints `Seen`. Members only get more in a run: a
stream shows the sum of those paid and held. Moments are of the system's monotonic clock, which processes have
in common.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections import Counter
from typing import Final, cast

import msgspec
import uvloop

from pintuan.running.supervisor.descriptors import allow_many_descriptors

SIZE_BYTES: Final = 8
# Fewer than wait in the queue of a listening socket.
# Those of all processes together are fewer than may wait of one address.
CONNECTING_AT_ONCE_MAX: Final = 100
CONNECT_WAIT_S: Final = 60.0
# States that came as the same bytes are read once; more than these are not on their way at once.
STATES_KEPT_MAX: Final = 64
# The end of an event, and of the piece of the response that holds it (RFC 9112 section 7.1).
_PIECE_END: Final = b"\n\n\r\n"
_DATA: Final = b"data: "
_OK: Final = b"HTTP/1.1 200"
UNSEEN: Final = -1


class Watch(msgspec.Struct, frozen=True):
    """Streams to open: `count` of group `group_id`, at a port of this machine."""

    port: int
    group_id: str
    count: int


class Connected(msgspec.Struct, frozen=True):
    """How long it took until all streams had shown a first state; `refused` were answered otherwise."""

    took_s: float
    refused: int


class Floor(msgspec.Struct, frozen=True, array_like=True):
    """From `moment_s` on, no stream showed fewer than `members`."""

    members: int
    moment_s: float


class Seen(msgspec.Struct, frozen=True):
    """What all streams showed: when each number of members was seen by all, and what came to be shown."""

    floors: list[Floor]
    states: int
    received_bytes: int
    lost: int
    cpu_s: float


class _Members(msgspec.Struct):
    """What is read of a group."""

    headcount: int
    held: int


class Audience:
    """All streams, and the least that any of them shows."""

    def __init__(self, count: int) -> None:
        self._waiting = count
        self._shown = Counter({UNSEEN: count})
        self._known: dict[bytes, int] = {}
        self._decoder = msgspec.json.Decoder(_Members)
        self.floor = UNSEEN
        self.floors: list[Floor] = []
        self.states = self.received_bytes = self.refused = self.lost = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def members_in(self, data: bytes) -> int | None:
        """The members in the last event of `data`; None if there is no event, only a heartbeat."""
        start = data.rfind(_DATA)
        if start < 0:
            return None
        event = data[start + len(_DATA) : data.find(b"\n", start)]
        members = self._known.get(event)
        if members is None:
            group = self._decoder.decode(event)
            members = group.headcount + group.held
            if len(self._known) >= STATES_KEPT_MAX:
                self._known.clear()
            self._known[event] = members
        return members

    def show(self, before: int, now: int) -> None:
        """Notes that one stream shows another number of members."""
        self.states += 1
        self._shown[before] -= 1
        self._shown[now] += 1
        if before == UNSEEN:
            self._settle()
        if self._shown[before] == 0:
            del self._shown[before]
            if before == self.floor:
                self.floor = min(self._shown)
                self.floors.append(Floor(self.floor, time.monotonic()))

    def refuse(self, before: int) -> None:
        """Notes a stream that was not opened, or ended; it does not count from now on."""
        if before == UNSEEN:
            self.refused += 1
            self._settle()
        else:
            self.lost += 1
        self._shown[before] -= 1
        if self._shown[before] == 0:
            del self._shown[before]

    def _settle(self) -> None:
        self._waiting -= 1
        if self._waiting == 0 and not self.ready.done():
            self.ready.set_result(None)


class Stream(asyncio.Protocol):
    """One open stream; `answered` is set once it showed a state, or will show none."""

    __slots__ = ("_audience", "_kept", "_members", "_request", "_started", "_transport", "answered")

    def __init__(self, audience: Audience, request: bytes) -> None:
        self._audience = audience
        self._request = request
        self._kept = b""
        self._members = UNSEEN
        self._started = False
        self._transport: asyncio.Transport | None = None
        self.answered = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the stream."""
        # Not an instance of it under uvloop, which has transports of its own.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Reads on until a piece is whole; only the latest state in it counts."""
        self._audience.received_bytes += len(data)
        if self._kept:
            data, self._kept = self._kept + data, b""
        if not self._started and len(data) >= len(_OK):
            if not data.startswith(_OK):
                self._close()
                return
            self._started = True
        if not data.endswith(_PIECE_END):
            self._kept = data
            return
        members = self._audience.members_in(data)
        if members is not None and members != self._members:
            before, self._members = self._members, members
            self._audience.show(before, members)
            self.answered.set()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature.
        """Counts a stream that ended before its time."""
        self._audience.refuse(self._members)
        self.answered.set()


async def _open(audience: Audience, watch: Watch) -> None:
    path = f"/v1/groups/{watch.group_id}/events"
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
    places = asyncio.Semaphore(CONNECTING_AT_ONCE_MAX)
    loop = asyncio.get_running_loop()

    async def one() -> None:
        async with places:
            try:
                _, stream = await loop.create_connection(
                    lambda: Stream(audience, request), "127.0.0.1", watch.port
                )
            except OSError:
                audience.refuse(UNSEEN)
            else:
                await stream.answered.wait()

    async with asyncio.timeout(CONNECT_WAIT_S):
        await asyncio.gather(*(one() for _ in range(watch.count)))
        await audience.ready


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _print(said: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


async def _main() -> None:
    allow_many_descriptors()
    size = int.from_bytes(sys.stdin.buffer.read(SIZE_BYTES), "big")
    watch = msgspec.msgpack.decode(sys.stdin.buffer.read(size), type=Watch)
    audience, began_s = Audience(watch.count), time.monotonic()
    await _open(audience, watch)
    _print(Connected(time.monotonic() - began_s, audience.refused))
    before_s, states, received = _cpu_s(), audience.states, audience.received_bytes
    await asyncio.to_thread(sys.stdin.buffer.readline)
    _print(
        Seen(
            audience.floors,
            audience.states - states,
            audience.received_bytes - received,
            audience.lost,
            _cpu_s() - before_s,
        )
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
