"""The load: what it sends, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from benchmarks.generate import LOST, Load, Outcome, Phase, arrivals
from benchmarks.histogram import Latencies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]

pytestmark = pytest.mark.anyio

REQUEST = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
CREATED = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\ncontent-length: 4\r\n\r\nbusy"
GONE = b"HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[int]:
    """Listens for the life of the block, and has `answer` answer each request line."""

    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await answer(head.split()[1], writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    listening = await asyncio.start_server(begin, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]
    await asyncio.gather(*serving)


async def outcome_of(phase: Phase) -> Outcome:
    load = Load(phase)
    await load.connect()
    try:
        await load.run()
    finally:
        load.close()
    return load.outcome()


def requests(count: int) -> list[bytes]:
    return [REQUEST % number for number in range(count)]


async def always_created(_path: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(CREATED)


async def test_a_closed_loop_sends_every_request_once_and_counts_the_answers() -> None:
    seen: list[bytes] = []

    async def answer(path: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(path)
        writer.write(CREATED if len(seen) % 2 else BUSY)

    async with server(answer) as port:
        outcome = await outcome_of(Phase(port=port, requests=requests(20), count=20, connections=3))

    assert sorted(seen) == sorted(b"/%d" % number for number in range(20))
    assert outcome.statuses == {201: 10, 503: 10}
    assert (outcome.answered, outcome.accepted_count, outcome.unanswered) == (20, 10, 0)
    assert outcome.retry_after == 10
    assert outcome.samples[0] == "busy"
    assert sum(slot.accepted for slot in outcome.slots) == sum(slot.refused for slot in outcome.slots) == 10


async def test_requests_start_over_until_enough_were_sent() -> None:
    async with server(always_created) as port:
        outcome = await outcome_of(Phase(port=port, requests=requests(2), count=7, connections=2))

    assert outcome.statuses == {201: 7}


async def test_an_answer_may_come_in_pieces() -> None:
    async def answer(_path: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in (CREATED[:9], CREATED[9:-1], CREATED[-1:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    async with server(answer) as port:
        outcome = await outcome_of(Phase(port=port, requests=requests(2), count=2, connections=1))

    assert outcome.statuses == {201: 2}


async def test_an_open_loop_counts_a_stall_against_every_call_it_delayed() -> None:
    stall = asyncio.Event()

    async def answer(_path: bytes, writer: asyncio.StreamWriter) -> None:
        await stall.wait()
        writer.write(CREATED)

    async with server(answer) as port:
        asyncio.get_running_loop().call_later(0.3, stall.set)
        phase = Phase(port=port, requests=requests(50), count=50, connections=1, rate_per_s=1000)
        outcome = await outcome_of(phase)

    # One connection: a closed loop would have found a single slow call among fifty.
    assert Latencies(outcome.accepted).at_ms(50) > 200


async def test_later_calls_have_latencies_of_their_own() -> None:
    async with server(always_created) as port:
        phase = Phase(
            port=port,
            requests=requests(40),
            count=40,
            connections=8,
            rate_per_s=2000,
            later_count=10,
            later_rate_per_s=500,
        )
        outcome = await outcome_of(phase)

    assert Latencies(outcome.accepted).count == 40
    assert Latencies(outcome.later_accepted).count == 10
    assert outcome.later_from_s == pytest.approx(list(arrivals(phase))[30])


async def test_a_call_that_is_lost_with_its_connection_is_counted_and_the_rest_goes_on() -> None:
    async def answer(path: bytes, writer: asyncio.StreamWriter) -> None:
        if path == b"/3":
            writer.transport.abort()
        else:
            writer.write(CREATED)

    async with server(answer) as port:
        outcome = await outcome_of(Phase(port=port, requests=requests(10), count=10, connections=2))

    assert outcome.statuses == {201: 9, LOST: 1}
    assert (outcome.answered, outcome.accepted_count) == (9, 9)


@pytest.mark.parametrize("rate_per_s", [None, 2000.0])
async def test_a_server_may_close_the_connection_with_its_answer(rate_per_s: float | None) -> None:
    async def answer(_path: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(GONE)
        writer.close()

    async with server(answer) as port:
        outcome = await outcome_of(
            Phase(port=port, requests=requests(6), count=6, connections=2, rate_per_s=rate_per_s)
        )

    assert outcome.statuses == {503: 6}
    assert outcome.retry_after == 0


async def test_what_is_never_answered_is_given_up() -> None:
    async def answer(path: bytes, writer: asyncio.StreamWriter) -> None:
        if path != b"/1":
            writer.write(CREATED)

    async with server(answer) as port:
        outcome = await outcome_of(
            Phase(port=port, requests=requests(3), count=3, connections=2, time_limit_s=0.5)
        )

    assert outcome.statuses == {201: 2}
    assert outcome.unanswered == 1


def test_arrivals_come_at_random_and_at_the_rate_and_are_the_same_again() -> None:
    phase = Phase(port=1, requests=[b""], count=10_000, connections=1, rate_per_s=500, seed=7)
    moments_s = list(arrivals(phase))
    gaps_s = [later - earlier for earlier, later in pairwise(moments_s)]
    mean_s = sum(gaps_s) / len(gaps_s)
    deviation_s = (sum((gap - mean_s) ** 2 for gap in gaps_s) / len(gaps_s)) ** 0.5

    assert mean_s == pytest.approx(1 / 500, rel=0.05)
    # The gaps of a Poisson process deviate as much as they last.
    assert deviation_s == pytest.approx(mean_s, rel=0.1)
    assert moments_s == list(arrivals(phase))
