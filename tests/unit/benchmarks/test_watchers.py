"""The process that looks on: what it reads from streams, and when all of them have seen a state."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from benchmarks.watch import Look, lag_s
from benchmarks.watchers import Audience, Floor, Stream

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
HEARTBEAT = b"d\r\n: heartbeat\n\n\r\n"


class Transport:
    """What a stream writes to."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True


def event(headcount: int, held: int = 0) -> bytes:
    piece = b'event: group\nid: tag\ndata: {"headcount":%d,"held":%d,"my_order":null}\n\n' % (headcount, held)
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def opened(audience: Audience) -> tuple[Stream, Transport]:
    stream, transport = Stream(audience, b"GET"), Transport()
    stream.connection_made(cast("asyncio.Transport", transport))
    return stream, transport


async def test_all_have_seen_a_state_when_the_last_stream_shows_it() -> None:
    audience = Audience(2)
    (first, _), (second, _) = opened(audience), opened(audience)

    first.data_received(HEAD + event(1))
    assert not audience.ready.done()
    second.data_received(HEAD + event(1))
    assert audience.ready.done()
    first.data_received(event(3, held=2))
    assert audience.floor == 1
    second.data_received(event(4))

    assert [floor.members for floor in audience.floors] == [1, 4]


async def test_an_event_may_come_in_parts_and_two_at_once() -> None:
    audience = Audience(1)
    stream, _ = opened(audience)
    whole = HEAD + event(1)

    for index in range(len(whole)):
        stream.data_received(whole[index : index + 1])
    stream.data_received(event(2) + event(3) + HEARTBEAT)

    assert [floor.members for floor in audience.floors] == [1, 3]
    assert audience.states == 2


async def test_a_heartbeat_changes_nothing() -> None:
    audience = Audience(1)
    stream, _ = opened(audience)

    stream.data_received(HEAD + event(1))
    stream.data_received(HEARTBEAT)

    assert [floor.members for floor in audience.floors] == [1]


async def test_a_stream_that_is_refused_is_closed_and_counted() -> None:
    audience = Audience(2)
    (refused, transport), (good, _) = opened(audience), opened(audience)

    refused.data_received(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n")
    assert transport.closed
    refused.connection_lost(None)
    good.data_received(HEAD + event(1))

    assert audience.refused == 1
    assert audience.ready.done()
    assert [floor.members for floor in audience.floors] == [1]


async def test_a_stream_that_ends_early_is_counted_and_waited_for_no_more() -> None:
    audience = Audience(2)
    (lost, _), (good, _) = opened(audience), opened(audience)
    for stream in (lost, good):
        stream.data_received(HEAD + event(1))

    lost.connection_lost(None)
    good.data_received(event(2))

    assert audience.lost == 1
    assert [floor.members for floor in audience.floors] == [1, 2]


@pytest.mark.parametrize(
    ("members", "lag"),
    [(5, 0.0), (10, 0.5), (11, 1.5), (20, 1.5), (21, float("inf"))],
)
async def test_a_lag_lasts_until_all_have_seen_at_least_as_much(members: int, lag: float) -> None:
    floors = [Floor(5, 99.0), Floor(10, 100.5), Floor(20, 101.5)]

    assert lag_s(Look(members, 100.0), floors) == lag
