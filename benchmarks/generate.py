"""The process that makes load: `python -m benchmarks.generate`, driven by `benchmarks.load_process`.

It reads a `Phase` (msgpack, after its size in eight bytes) from stdin, connects, prints `ready`, waits for a
line on stdin, makes the calls and prints an `Outcome` as one line of JSON. Another line ends the phase early.
Requests come as the bytes that go over the wire, and an answer is read no further than its status and
length: a call costs this process little.

In a closed loop each connection sends its next call when the last was answered, which shows how much a server
can do. In an open loop calls are due at random moments (Poisson arrivals) whether or not earlier ones were
answered, as shoppers come; each latency counts from the moment the call was due, so that waiting for a free
connection counts too. Sending looks at the clock every millisecond, which adds half of one on average.
"""

from __future__ import annotations

import asyncio
import gc
import random
import resource
import sys
import time
from array import array
from collections import Counter, deque
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec
import uvloop

from benchmarks.histogram import Latencies
from pintuan.running.supervisor.descriptors import allow_many_descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIZE_BYTES: Final = 8
TICK_S: Final = 0.001
CONNECT_TIMEOUT_S: Final = 10.0
CONNECTING_MAX: Final = 100
# Reconnecting to a server that refuses connections must not become a busy loop.
RECONNECT_WAIT_S: Final = 0.01
SAMPLES_MAX: Final = 3
LOST: Final = 0
"""The status of a call whose connection ended before its answer."""
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """Calls to make. `requests` are sent in order, from the start again until `count` were sent.

    With `rate_per_s` the loop is open, otherwise closed; the last `later_count` calls of an open loop come at
    `later_rate_per_s`. What is not answered within `time_limit_s` after the start is given up. The arrivals
    follow from `seed`. With `hangs_up` a connection serves one call and ends with the head of its answer.
    """

    port: int
    requests: list[bytes]
    count: int
    connections: int
    rate_per_s: float | None = None
    later_count: int = 0
    later_rate_per_s: float = 1.0
    time_limit_s: float = 60.0
    slot_s: float = 0.25
    seed: int = 1
    hangs_up: bool = False


class Slot(msgspec.Struct, frozen=True):
    """Answers that came within one slot of time: those below 400, and the others."""

    accepted: int
    refused: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a phase.

    `statuses` counts answers, 0 those that a lost connection swallowed; `unanswered` were given up. `took_s`
    runs from the start to the last answer. `accepted` and `refused` hold the latencies of answers below 400
    and of others, encoded. `retry_after` counts refusals that say when to come back, `samples` are a few
    refusals' bodies.
    """

    statuses: dict[int, int]
    unanswered: int
    took_s: float
    accepted: bytes
    refused: bytes
    retry_after: int
    slots: list[Slot]
    slot_s: float
    later_from_s: float
    later_accepted: bytes
    client_cpu_s: float
    samples: list[str]

    @property
    def answered(self) -> int:
        """Calls that were answered at all."""
        return sum(self.statuses.values()) - self.statuses.get(LOST, 0)

    @property
    def accepted_count(self) -> int:
        """Answers below 400."""
        return sum(count for status, count in self.statuses.items() if LOST < status < 400)

    @property
    def accepted_per_s(self) -> float:
        """Answers below 400 a second."""
        return self.accepted_count / self.took_s


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one call under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._kept = b""
        self._transport: asyncio.Transport | None = None
        self.due_s: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # A stream's.
        """Keeps the way to send."""
        self._transport = transport

    def send(self, request: bytes, due_s: float) -> None:
        """Sends one call, which was due at `due_s` by the performance counter."""
        self.due_s = due_s
        assert self._transport is not None  # noqa: S101 - a connection is used only once it is made.
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Reads on until the answer is whole."""
        if self._kept:
            data = self._kept + data
        end = data.find(_HEAD_END)
        if end < 0:
            self._kept = data
            return
        start = data.find(_LENGTH, 0, end) + len(_LENGTH)
        length = 0
        if start >= len(_LENGTH) and not self._load.hangs_up:
            length = int(data[start : data.find(b"\r", start)])
        if len(data) < end + len(_HEAD_END) + length:
            self._kept = data
            return
        self._kept = b""
        due_s, self.due_s = self.due_s, None
        self._load.answered(self, data, end, due_s)

    def close(self) -> None:
        """Ends the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature.
        """Tells that another connection is needed."""
        self._load.lost(self)


class Load:
    """All connections of a phase, and what was answered."""

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self._requests = _repeated(phase.requests, phase.count)
        self._began_s = 0.0
        self._arrivals: deque[float] = deque()
        self._waiting: deque[float] = deque()
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connecting: set[asyncio.Task[None]] = set()
        self._sent = 0
        self._running = False
        self.statuses = array("H")
        self.latencies_s = array("d")
        self.moments_s = array("d")
        self.retry_after = 0
        self.samples: list[str] = []

    async def connect(self) -> None:
        """Makes all connections. Raises OSError and TimeoutError."""
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            for first in range(0, self._phase.connections, CONNECTING_MAX):
                count = min(CONNECTING_MAX, self._phase.connections - first)
                self._idle.extend(await asyncio.gather(*(self._connection() for _ in range(count))))

    async def run(self) -> None:
        """Makes the calls until all were answered or time is up."""
        self._began_s, self._running = time.perf_counter(), True
        if self._phase.rate_per_s is None:
            for connection in islice(tuple(self._idle), self._phase.count):
                self._next(connection)
        else:
            self._arrivals.extend(arrivals(self._phase))
            self._tick()
        try:
            async with asyncio.timeout(self._phase.time_limit_s):
                await self._ended
        except TimeoutError:
            pass  # What is missing shows in the outcome as unanswered.
        finally:
            self._running = False

    @property
    def hangs_up(self) -> bool:
        """Whether nobody stays to hear more than the head of an answer."""
        return self._phase.hangs_up

    def stop(self) -> None:
        """Ends the phase before its calls are made."""
        if not self._ended.done():
            self._ended.set_result(None)

    def close(self) -> None:
        """Ends all connections."""
        self._running = False
        for task in tuple(self._connecting):
            task.cancel()
        for connection in tuple(self._open):
            connection.close()

    def answered(self, connection: Connection, data: bytes, end: int, due_s: float | None) -> None:
        """Notes an answer, and gives the connection its next call."""
        now_s = time.perf_counter()
        status = int(data[9:12])
        if due_s is None:
            raise RuntimeError(f"an answer to no call: {data[:80]!r}")
        closes = self.hangs_up
        if status >= 400:
            head = data[:end].lower()
            self.retry_after += b"\r\nretry-after:" in head
            closes = closes or b"\r\nconnection: close" in head
            if len(self.samples) < SAMPLES_MAX:
                self.samples.append(data[end + len(_HEAD_END) :].decode(errors="replace"))
        self._note(status, due_s, now_s)
        if closes:
            connection.close()
        elif self._phase.rate_per_s is None:
            self._next(connection)
        elif self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """Notes a call that is lost with its connection, and makes another connection."""
        self._open.discard(connection)
        if not self._running:
            return
        if connection.due_s is not None:
            self._note(LOST, connection.due_s, time.perf_counter())
        elif connection in self._idle:
            self._idle.remove(connection)
        task = asyncio.get_running_loop().create_task(self._reconnect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def outcome(self) -> Outcome:
        """Sums up."""
        accepted, refused, later = Latencies(), Latencies(), Latencies()
        later_s = self._later_from_s()
        slot_s, last_s = self._phase.slot_s, max(self.moments_s, default=self._began_s)
        slots = [[0, 0] for _ in range(int((last_s - self._began_s) / slot_s) + 1)]
        for status, latency_s, moment_s in zip(self.statuses, self.latencies_s, self.moments_s, strict=True):
            good = LOST < status < 400
            slots[int((moment_s - self._began_s) / slot_s)][not good] += 1
            (accepted if good else refused).record(latency_s)
            if good and moment_s - latency_s >= self._began_s + later_s:
                later.record(latency_s)
        return Outcome(
            statuses=dict(Counter(self.statuses)),
            unanswered=self._phase.count - len(self.statuses),
            took_s=last_s - self._began_s,
            accepted=accepted.encoded(),
            refused=refused.encoded(),
            retry_after=self.retry_after,
            slots=[Slot(*slot) for slot in slots],
            slot_s=slot_s,
            later_from_s=later_s,
            later_accepted=later.encoded(),
            client_cpu_s=0.0,
            samples=self.samples,
        )

    def _later_from_s(self) -> float:
        """When the first of the later calls was due; never, where there are none."""
        if not self._phase.later_count or self._phase.rate_per_s is None:
            return self._phase.time_limit_s
        first = self._phase.count - self._phase.later_count
        return next(islice(arrivals(self._phase), first, None))

    def _note(self, status: int, due_s: float, now_s: float) -> None:
        self.statuses.append(status)
        self.latencies_s.append(now_s - due_s)
        self.moments_s.append(now_s)
        if len(self.statuses) == self._phase.count and not self._ended.done():
            self._ended.set_result(None)

    def _next(self, connection: Connection) -> None:
        if self._sent < self._phase.count:
            self._send(connection, time.perf_counter())

    def _send(self, connection: Connection, due_s: float) -> None:
        self._sent += 1
        connection.send(next(self._requests), due_s)

    def _tick(self) -> None:
        """Sends what is due by now, or lets it wait for a connection."""
        now_s = time.perf_counter() - self._began_s
        while self._arrivals and self._arrivals[0] <= now_s:
            due_s = self._began_s + self._arrivals.popleft()
            if self._idle:
                self._send(self._idle.popleft(), due_s)
            else:
                self._waiting.append(due_s)
        if self._arrivals and self._running:
            asyncio.get_running_loop().call_later(TICK_S, self._tick)

    async def _connection(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._phase.port)
        self._open.add(connection)
        return connection

    async def _reconnect(self) -> None:
        while self._running:
            try:
                connection = await self._connection()
            except OSError:
                await asyncio.sleep(RECONNECT_WAIT_S)
                continue
            if self._phase.rate_per_s is None:
                self._next(connection)
            elif self._waiting:
                self._send(connection, self._waiting.popleft())
            else:
                self._idle.append(connection)
            return


def arrivals(phase: Phase) -> Iterator[float]:
    """Yields the seconds from the start at which calls are due: Poisson processes of the phase's rates."""
    draw = random.Random(phase.seed)  # noqa: S311 - arrivals must be the same for the same seed.
    moment_s = 0.0
    for number in range(phase.count):
        later = number >= phase.count - phase.later_count
        moment_s += draw.expovariate(phase.later_rate_per_s if later else phase.rate_per_s or 1.0)
        yield moment_s


def _repeated(requests: Sequence[bytes], count: int) -> Iterator[bytes]:
    for number in range(count):
        yield requests[number % len(requests)]


async def _main() -> None:
    size = int.from_bytes(sys.stdin.buffer.read(SIZE_BYTES), "big")
    allow_many_descriptors()
    load = Load(msgspec.msgpack.decode(sys.stdin.buffer.read(size), type=Phase))
    await load.connect()
    # A collection would show as a latency of the server's.
    gc.disable()
    print("ready", flush=True)
    if not await asyncio.to_thread(sys.stdin.buffer.readline):
        return  # Whoever wanted the load is gone.
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), load.stop)
    before = resource.getrusage(resource.RUSAGE_SELF)
    await load.run()
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    outcome = msgspec.structs.replace(load.outcome(), client_cpu_s=cpu_s)
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
