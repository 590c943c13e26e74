"""Nobody sees other messages in the bytes of a connection than this server does, or the connection ends.

Request smuggling needs two readings of one stream. Here are three: the server's own, and those of h11 and of
waitress, which are independent of it and of each other.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.running.supervisor.readings import Reading, by_h11, by_waitress
from tests.unit.running.supervisor.wire import Message, Noting, Wire

# Many more are run by hand: FRAMING_EXAMPLES=100000 pytest …
EXAMPLES = int(os.environ.get("FRAMING_EXAMPLES", "150"))
CONTINUE = 100
SCHEME_AND_AUTHORITY = re.compile(rb"^https?://[^/?#]*", re.IGNORECASE)

TARGETS = (b"/", b"/a?b=c", b"/v1/deals/d/join", b"http://other/x")
METHODS = (b"GET", b"POST", b"DELETE", b"OPTIONS", b"HEAD", b"PUT")
VERSIONS = (b"HTTP/1.1",) * 12 + (b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1")
HEADERS = (
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: Upgrade",
    b"Connection: upgrade, HTTP2-Settings",
    b"Upgrade: websocket",
    b"Upgrade: h2c",
    b"HTTP2-Settings: AAMAAABkAAQAAP__",
    b"Expect: 100-continue",
    b"TE: trailers",
    b"Trailer: X-Late",
    b"X-Odd: a,b; c",
    b"Content-Type: application/json",
    b"Authorization: Bearer x",
)
FRAMING = (
    b"Content-Length: 0",
    b"Content-Length: 5",
    b"content-length:5",
    b"Content-Length: 05",
    b"Content-Length: +5",
    b"Content-Length: 5, 5",
    b"Content-Length: 5\r\nContent-Length: 5",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Content-Length : 5",
    b"Content-Length: 5 ",
    b"Content-Length: 0x5",
    b"Content-Length: ",
    b"X: a\r\n Content-Length: 5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: Chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding : chunked",
    b"Transfer_Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
)
SIZES = (
    b"5",
    b"05",
    b"5 ",
    b"+5",
    b"0x5",
    b"5;a=b",
    b'5;a="b c"',
    b"5;a=\xff",
    b"5; a",
    b"5\n",
    b"-5",
    b"fffffffffffffffff5",
)
TRAILERS = (
    b"X-Late: yes",
    b"Content-Length: 5",
    b"Transfer-Encoding: chunked",
    b"Authorization: Bearer t",
    b"bad",
    b" x: y",
)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    line = b" ".join(
        (draw(st.sampled_from(METHODS)), draw(st.sampled_from(TARGETS)), draw(st.sampled_from(VERSIONS)))
    )
    hosts = draw(st.sampled_from((1,) * 10 + (0, 2)))
    lines = [line, *([b"Host: here"] * hosts)]
    lines += draw(st.lists(st.sampled_from(HEADERS), max_size=3))
    return b"\r\n".join(lines) + b"\r\n"


@st.composite
def chunked_bodies(draw: st.DrawFn) -> bytes:
    sizes = draw(st.lists(st.sampled_from(SIZES), max_size=2)) if draw(st.booleans()) else [b"5"]
    body = b"".join(size + b"\r\nhello\r\n" for size in sizes)
    last = draw(st.sampled_from((b"0", b"0", b"0", b"00", b"0;x=y", b"")))
    trailers = b"".join(line + b"\r\n" for line in draw(st.lists(st.sampled_from(TRAILERS), max_size=2)))
    return body + last + b"\r\n" + trailers + b"\r\n"


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One message: mostly right, or wrong in one of the ways that have misled servers."""
    kind = draw(st.sampled_from(("none", "sized", "chunked", "odd")))
    head = draw(heads())
    if kind == "none":
        return head + b"\r\n"
    if kind == "sized":
        body = draw(st.sampled_from((b"hello", b"GET /b HTTP/1.1\r\nHost: here\r\n\r\n", b"")))
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if kind == "chunked":
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + draw(chunked_bodies())
    body = draw(st.one_of(st.just(b"hello"), chunked_bodies()))
    return head + draw(st.sampled_from(FRAMING)) + b"\r\n\r\n" + body


JUNK = (b"", b"\r\n", b"\n", b"\r", b" ", b"\0", b"x", b"\r\n\r\n", b"GET", b"\x80", b":", b";", b"0", b"\t")


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Some messages one after the other, perhaps with a piece cut out and something put in its place."""
    stream = b"".join(draw(st.lists(messages(), min_size=1, max_size=4)))
    if draw(st.booleans()):
        return stream
    start = draw(st.integers(0, len(stream)))
    length = draw(st.integers(0, 3))
    return stream[:start] + draw(st.sampled_from(JUNK)) + stream[start + length :]


def pieces_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(places)]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


async def by_us(pieces: list[bytes]) -> tuple[Reading, list[int]]:
    app = Noting()
    wire = Wire(app)
    await wire.send(*pieces)
    is_closed = wire.is_closed
    wire.end()
    for task in list(wire.state.tasks):
        await asyncio.wait([task])
    whole = [message for message in app.messages if message.body is not None]
    assert whole == app.messages[: len(whole)], "nothing is taken on after what never came whole"
    # Whether somebody is told to go on depends on whether they have gone on already.
    answers = [status for status in wire.statuses if status != CONTINUE]
    return Reading(whole, goes_on=not is_closed), answers


def origin(message: Message) -> Message:
    """A message with its target as we name it: without scheme and authority, and without an empty query."""
    target = SCHEME_AND_AUTHORITY.sub(b"", message.target)
    if not target.startswith(b"/"):
        target = b"/" + target
    return message._replace(target=target.removesuffix(b"?"))


def check_agreement(ours: Reading, theirs: Reading, stream: bytes) -> bool:
    """Holds that a parser sees no other messages than we do; returns whether it refuses one that we take."""
    seen = [origin(message) for message in theirs.messages]
    common = min(len(ours.messages), len(seen))
    assert ours.messages[:common] == seen[:common], stream
    if len(ours.messages) < len(seen):
        assert not ours.goes_on, f"we wait for more where there is another message: {stream!r}"
    if len(ours.messages) > len(seen):
        assert not theirs.goes_on, f"we see a message where another waits for more: {stream!r}"
        return True
    return False


@settings(max_examples=EXAMPLES, deadline=None)
@given(streams(), st.lists(st.integers(0, 400), max_size=8))
@example(
    b"GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: foo\r\nContent-Length: 5\r\n\r\nhello"
    * 2,
    [],
)
def test_two_other_parsers_see_the_same_messages_or_the_connection_ends(
    runner: asyncio.Runner, stream: bytes, cuts: list[int]
) -> None:
    ours, statuses = runner.run(by_us(pieces_of(stream, cuts)))
    assert statuses.count(200) == len(ours.messages) or not ours.goes_on
    assert 500 not in statuses
    refusals = [check_agreement(ours, theirs, stream) for theirs in (by_h11(stream), by_waitress(stream))]
    # Words of a request line may stand farther apart (RFC 9112 section 3); that moves no bound.
    assert not all(refusals) or b"  " in stream, f"we take what both others refuse: {stream!r}"


@settings(max_examples=EXAMPLES // 3, deadline=None)
@given(streams(), st.lists(st.integers(0, 400), max_size=30))
def test_where_the_bytes_are_cut_changes_nothing(
    runner: asyncio.Runner, stream: bytes, cuts: list[int]
) -> None:
    whole, answered = runner.run(by_us([stream]))
    cut, answered_cut = runner.run(by_us(pieces_of(stream, cuts)))
    assert (whole, answered) == (cut, answered_cut)
