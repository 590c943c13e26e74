"""Streams are read as the standard says, and connected again until the group has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import msgspec
import pytest

from pintuan.client import BadAnswer, NoAnswer, ProblemError
from pintuan.client.events import EVENT_BYTES_MAX, Event, EventParser, EventTooLong
from pintuan.client.watch import CONNECTS_MAX
from tests.unit.client.answering import Answer, Answers, client_of, lost, problem
from tests.unit.running.demo.samples import group

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none is made."""
    asked: list[float] = []

    async def sleep(pause_s: float) -> None:
        asked.append(pause_s)

    monkeypatch.setattr("pintuan.client.watch.asyncio.sleep", sleep)
    return asked


def event(headcount: int, status: str = "open") -> bytes:
    snapshot = msgspec.json.encode(group(status, headcount))  # type: ignore[arg-type]  # One of the statuses.
    return b"event: group\nid: tag-%d\ndata: %b\n\n" % (headcount, snapshot)


def stream(*chunks: bytes, breaks: bool = False) -> Answer:
    """A response of these chunks, cut off after them where it breaks."""

    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        if breaks:
            raise httpx.RemoteProtocolError("cut off")

    headers = {"content-type": "text/event-stream"}
    return lambda _request: httpx.Response(200, headers=headers, content=body())


async def headcounts(answers: Answers) -> list[int]:
    async with client_of(answers, token="mei") as pintuan:
        return [seen.headcount async for seen in pintuan.watch_group("grp_1")]


async def test_a_group_is_followed_to_its_end() -> None:
    whole = b": heartbeat\n\n" + event(1) + event(2) + event(3, "succeeded")
    bytewise = [whole[start : start + 7] for start in range(0, len(whole), 7)]
    answers = Answers(stream(*bytewise))
    assert await headcounts(answers) == [1, 2, 3]
    (request,) = answers.requests
    assert request.url.path == "/v1/groups/grp_1/events"
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["authorization"] == "Bearer mei"
    assert "last-event-id" not in request.headers


async def test_a_broken_stream_is_taken_up_where_it_broke_off(pauses: list[float]) -> None:
    answers = Answers(
        stream(b"retry: 1500\n\n" + event(1), event(2)[:20], breaks=True),
        lost,
        stream(event(2)),
        stream(event(3, "failed")),
    )
    assert await headcounts(answers) == [1, 2, 3]
    assert answers.headers("last-event-id") == [None, "tag-1", "tag-1", "tag-2"]
    assert pauses == [1.5, 1.5, 1.5]


async def test_a_group_that_ended_as_it_was_seen_last_has_no_more_to_tell() -> None:
    answers = Answers(stream(event(1)), lambda _request: httpx.Response(204))
    assert await headcounts(answers) == [1]


async def test_a_marketplace_that_has_no_room_is_asked_again() -> None:
    busy = problem(503, "overloaded", headers={"retry-after": "5"})
    assert await headcounts(Answers(busy, stream(event(1, "succeeded")))) == [1]


async def test_vain_attempts_are_bounded() -> None:
    answers = Answers(stream())
    with pytest.raises(NoAnswer, match="the stream ended"):
        await headcounts(answers)
    assert len(answers.requests) == CONNECTS_MAX


@pytest.mark.parametrize("code", ["overloaded", "not_found"])
async def test_a_refusal_that_stays_is_told(code: str) -> None:
    with pytest.raises(ProblemError) as refused:
        await headcounts(Answers(problem(404 if code == "not_found" else 503, code)))
    assert refused.value.code == code


async def test_an_event_against_the_contract_is_named() -> None:
    with pytest.raises(BadAnswer, match="/v1/groups/grp_1/events"):
        await headcounts(Answers(stream(b"event: group\ndata: {}\n\n")))


def parse(*chunks: bytes) -> list[Event]:
    parser = EventParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((b"data: a\n\n",), [Event("message", "a", "")]),
        ((b"data:a\r\ndata: b\r\n\r", b"\n"), [Event("message", "a\nb", "")]),
        ((b"event: x\n\ndata: a\n\n",), [Event("message", "a", "")]),
        ((b"id: 1\ndata: a\n\ndata: b\n\n",), [Event("message", "a", "1"), Event("message", "b", "1")]),
        ((b"id: 1\x002\ndata: a\n\n",), [Event("message", "a", "")]),
        ((": é".encode() + b"\nfoo: x\nretry: soon\ndata\n\n",), [Event("message", "", "")]),
        (
            ("data: \u2028é".encode()[:8], "data: \u2028é".encode()[8:] + b"\n\n"),
            [Event("message", "\u2028é", "")],
        ),
        ((b"data: never ended\n",), []),
    ],
)
def test_events_are_read_as_the_standard_says(chunks: tuple[bytes, ...], expected: list[Event]) -> None:
    assert parse(*chunks) == expected


@pytest.mark.parametrize("make", [lambda part: part, lambda part: b"data: " + part + b"\n"])
def test_an_event_without_end_is_given_up(make: Callable[[bytes], bytes]) -> None:
    parser = EventParser()
    part = make(b"x" * (EVENT_BYTES_MAX // 4))
    parser.feed(part)
    with pytest.raises(EventTooLong):
        parser.feed(part * 4)
