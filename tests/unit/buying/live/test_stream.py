"""A stream keeps the latest state and nothing else, and lets nobody wait for a reader who does not read."""

from __future__ import annotations

import asyncio

import pytest

from pintuan.buying.live import stream as stream_module
from pintuan.buying.live.snapshots import Snapshot
from pintuan.buying.live.stream import Stream
from tests.unit.buying.live.readers import Reader, settle

pytestmark = pytest.mark.anyio


def state(tag: str, *, ended: bool = False) -> Snapshot:
    return Snapshot(tag, f"event: group\nid: {tag}\ndata: {{}}\n\n".encode(), ended)


async def test_a_reader_who_reads_gets_every_state_once() -> None:
    reader = Reader()
    stream = Stream(reader.send)
    for tag in ("a", "a", "b", "b", "a"):
        stream.show(state(tag))
        await settle()
    assert reader.states == ["a", "b", "a"]
    assert reader.text.startswith("retry: ")
    assert reader.text.count("retry: ") == 1


async def test_a_reader_who_stops_reading_misses_states_and_gets_the_latest() -> None:
    reader = Reader()
    stream = Stream(reader.send)
    stream.show(state("first"))
    await settle()
    reader.open.clear()
    for number in range(1000):
        stream.show(state(f"state-{number}"))
        stream.beat()
        await asyncio.sleep(0)
    reader.open.set()
    await settle()
    assert reader.states == ["first", "state-0", "state-999"]


async def test_a_reader_who_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "SEND_DEADLINE_S", 0.01)
    reader = Reader()
    stream = Stream(reader.send)
    reader.open.clear()
    stream.show(state("first"))
    async with asyncio.timeout(10):
        await stream.until_gone(reader.receive)
    assert stream.slow
    stream.show(state("second"))
    stream.end()
    await settle()
    assert reader.messages == []


async def test_a_slow_reader_who_reads_on_finds_the_response_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "SEND_DEADLINE_S", 0.01)
    reader = Reader()
    stream = Stream(reader.send)
    stream.show(state("first"))
    await settle()
    reader.open.clear()
    stream.show(state("second"))
    await stream.until_gone(reader.receive)
    lingering = asyncio.create_task(stream.linger())
    await settle()
    reader.open.set()
    await lingering
    assert reader.states == ["first"]
    assert not reader.messages[-1]["more_body"]


async def test_a_slow_reader_who_never_reads_on_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "SEND_DEADLINE_S", 0.01)
    monkeypatch.setattr(stream_module, "LINGER_S", 0.01)
    reader = Reader()
    stream = Stream(reader.send)
    stream.show(state("first"))
    await settle()
    reader.open.clear()
    stream.show(state("second"))
    await stream.until_gone(reader.receive)
    async with asyncio.timeout(10):
        await stream.linger()
    assert reader.messages[-1]["more_body"]


async def test_a_terminal_state_ends_the_response() -> None:
    reader = Reader()
    stream = Stream(reader.send)
    stream.show(state("open"))
    stream.show(state("over", ended=True))
    stream.show(state("later"))
    stream.beat()
    stream.end()
    await stream.until_gone(reader.receive)
    assert reader.states == ["over"]
    assert not reader.messages[-1]["more_body"]
    assert (stream.slow, stream.drained) == (False, False)


async def test_a_stream_that_is_ended_sends_what_it_has_and_says_when_to_come_back() -> None:
    reader = Reader()
    stream = Stream(reader.send)
    stream.show(state("open"))
    stream.end()
    stream.end()
    await stream.until_gone(reader.receive)
    assert reader.states == ["open"]
    assert reader.text.rstrip().splitlines()[-1].startswith("retry: ")
    assert stream.drained


async def test_a_heartbeat_comes_only_while_nothing_else_is_sent() -> None:
    reader = Reader()
    stream = Stream(reader.send)
    stream.show(state("open"))
    stream.beat()
    await settle()
    assert "heartbeat" not in reader.text
    stream.beat()
    await settle()
    assert reader.text.endswith(": heartbeat\n\n")


async def test_nothing_is_left_running_when_the_reader_has_gone() -> None:
    before = asyncio.all_tasks()
    reader = Reader()
    stream = Stream(reader.send)
    reader.open.clear()
    stream.show(state("open"))
    await settle()
    reader.gone.set()
    await stream.until_gone(reader.receive)
    await settle()
    assert asyncio.all_tasks() == before


async def test_who_reads_is_sent_to_at_once_and_without_a_task() -> None:
    reader = Reader()
    stream = Stream(reader.send)
    stream.show(state("first"))
    await settle()
    tasks = asyncio.all_tasks()
    stream.show(state("second"))
    assert reader.states == ["first", "second"]
    assert asyncio.all_tasks() == tasks


async def test_a_state_that_must_wait_for_its_reader_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "SEND_DEADLINE_S", 0.01)
    reader = Reader()
    stream = Stream(reader.send)
    stream.show(state("first"))
    await settle()
    reader.open.clear()
    stream.show(state("second"))
    async with asyncio.timeout(10):
        await stream.until_gone(reader.receive)
    assert stream.slow
    assert reader.states == ["first"]


async def test_what_one_connection_meets_is_nothing_to_who_shows() -> None:
    reader = Reader()
    stream = Stream(reader.send)
    stream.show(state("first"))
    await settle()

    async def broken(_message: object) -> None:
        raise RuntimeError("the handler is closed")

    stream._send = broken
    stream.show(state("second"))
    stream.show(state("third"))
    await settle()
    assert reader.states == ["first"]
