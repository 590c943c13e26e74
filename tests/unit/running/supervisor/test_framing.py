"""Each message ends where its head says, and nothing that a stranger sends is kept without bound."""

from __future__ import annotations

import asyncio
import json

import pytest
import structlog

from pintuan.http.protocol import timed_protocol
from pintuan.http.protocol.connection import ImpatientProtocol, gated
from pintuan.http.protocol.connection_limit import ConnectionLimit
from pintuan.http.protocol.framed_protocol import HEAD_BYTES_MAX, HEADERS_MAX, SLICE_BYTES
from pintuan.http.protocol.placement_gate import PlacementGate
from tests.unit.running.supervisor.wire import Message, Noting, Wire
from tests.waiting import until

pytestmark = pytest.mark.anyio

SMUGGLED = b"DELETE /v1/me HTTP/1.1\r\nHost: here\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: here\r\n\r\n"
TINY = b"GET / HTTP/1.1\r\nHost:h\r\n\r\n"


def request(*lines: bytes, method: bytes = b"POST", target: bytes = b"/a", host: bytes = b"here") -> bytes:
    head = (b"%b %b HTTP/1.1" % (method, target), b"Host: " + host, *lines)
    return b"\r\n".join(head) + b"\r\n\r\n"


def sized(*lines: bytes, body: bytes = SMUGGLED) -> bytes:
    return request(*lines, b"Content-Length: %d" % len(body)) + body


def chunked(*trailers: bytes, body: bytes = b"hello") -> bytes:
    ending = b"".join(line + b"\r\n" for line in trailers)
    head = request(b"Transfer-Encoding: chunked")
    return head + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, ending)


async def connected(app: Noting | None = None) -> tuple[Wire, Noting]:
    app = app or Noting()
    return Wire(app), app


UPGRADES = (
    (b"Connection: Upgrade", b"Upgrade: foo"),
    (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC=="),
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
    (b"Connection: keep-alive, UPGRADE", b"Upgrade: h2c", b"Upgrade: foo"),
)


@pytest.mark.parametrize("lines", UPGRADES)
@pytest.mark.parametrize("cut", [None, 1, 60])
async def test_an_upgrade_is_ignored_and_its_body_is_a_body(
    lines: tuple[bytes, ...], cut: int | None
) -> None:
    for message, body in ((sized(*lines), SMUGGLED), (request(*lines, b"Transfer-Encoding: chunked"), None)):
        wire, app = await connected()
        stream = (
            message if body is not None else message + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
        )
        stream += NEXT
        await wire.send(
            *(stream[at : at + (cut or len(stream))] for at in range(0, len(stream), cut or len(stream)))
        )
        assert app.messages == [Message(b"POST", b"/a", SMUGGLED), Message(b"GET", b"/next", b"")]
        assert wire.statuses == [200, 200]
        assert not wire.is_closed


async def test_an_upgrade_without_a_body_is_an_ordinary_request() -> None:
    wire, app = await connected()
    await wire.send(request(*UPGRADES[2], method=b"GET") + NEXT)
    assert [message.target for message in app.messages] == [b"/a", b"/next"]
    assert b"upgrade" not in dict(app.scopes[0]["headers"])


async def test_nobody_gets_a_tunnel() -> None:
    wire, app = await connected()
    await wire.send(request(method=b"CONNECT", target=b"here:80") + SMUGGLED)
    assert wire.statuses == [501]
    assert wire.is_closed
    assert app.begun == 0


async def test_trailers_are_no_headers() -> None:
    wire, app = await connected()
    late = (b"Authorization: Bearer x", b"Idempotency-Key: 1", b"X-Forwarded-For: 198.51.100.1")
    await wire.send(chunked(*late) + NEXT)
    await wire.send(*(bytes([octet]) for octet in chunked(*late)))
    assert [message.body for message in app.messages] == [b"hello", b"", b"hello"]
    for scope in app.scopes:
        assert {name for name, _ in scope["headers"]} <= {b"host", b"transfer-encoding"}


@pytest.mark.parametrize("piece", [b"a:\r\n", b"x: " + b"y" * 5000 + b"\r\n", b"y" * 1000])
@pytest.mark.parametrize("answered", [True, False])
async def test_trailers_without_end_end_the_connection(piece: bytes, answered: bool) -> None:
    app = Noting()
    if not answered:
        app.may_answer.clear()
    wire, app = await connected(app)
    await wire.send(request(b"Transfer-Encoding: chunked") + b"0\r\nx: ")
    sent = 0
    while not wire.is_closed:
        await wire.send(piece)
        sent += len(piece)
        assert sent <= HEAD_BYTES_MAX + 2 * SLICE_BYTES + len(piece)
    assert wire.statuses == [431]
    app.may_answer.set()
    wire.end()


@pytest.mark.parametrize("start", [b"5;", b"5;x=", b'5;x="'])
async def test_what_comes_between_pieces_of_a_body_is_bounded(start: bytes) -> None:
    wire, _ = await connected()
    await wire.send(request(b"Transfer-Encoding: chunked") + b"1\r\nx\r\n" + start)
    for _ in range(HEAD_BYTES_MAX // 1000 + 3):
        await wire.send(b"y" * 1000)
    assert wire.statuses == [431]
    wire.end()


async def test_a_body_of_many_small_chunks_is_no_head() -> None:
    wire, app = await connected()
    count = HEAD_BYTES_MAX
    await wire.send(request(b"Transfer-Encoding: chunked") + b"1\r\nx\r\n" * count + b"0\r\n\r\n")
    assert [len(message.body or b"") for message in app.messages] == [count]


async def test_more_headers_than_anybody_sends_are_refused() -> None:
    wire, app = await connected()
    await wire.send(b"GET / HTTP/1.1\r\nHost: here\r\n")
    sent = 0
    while not wire.is_closed:
        await wire.send(b"a:\r\n" * 100)
        sent += 100
        assert sent <= HEADERS_MAX + SLICE_BYTES
    assert wire.statuses == [431]
    assert app.begun == 0


async def test_requests_behind_one_that_is_answered_wait_unread() -> None:
    app = Noting()
    app.may_answer.clear()
    wire, app = await connected(app)
    count = 10_000
    await wire.deliver(NEXT + TINY * count)
    # None but those of the slice in which the first one came was read, and no more can come.
    assert len(wire.protocol.pipeline) <= SLICE_BYTES // len(TINY)
    assert app.begun == 1
    assert wire.is_paused
    assert len(wire.protocol._kept) <= len(TINY) * count


async def test_an_application_that_waits_for_its_client_does_not_read_on_what_must_wait() -> None:
    left = asyncio.Event()

    async def watching(_scope: object, receive: object, _send: object) -> None:
        while (await receive())["type"] != "http.disconnect":  # type: ignore[operator]
            pass
        left.set()

    wire = Wire(watching)
    await wire.deliver(NEXT)
    assert not wire.is_paused, "it would not see its client go"
    for _ in range(3):
        await wire.deliver(TINY * 2000)
        assert wire.is_paused
    wire.end()
    await left.wait()


async def test_all_of_what_waited_is_answered_in_its_order() -> None:
    app = Noting()
    app.may_answer.clear()
    wire, app = await connected(app)
    mixed = b"".join(
        request(method=b"GET", target=b"/%d" % number) if number % 3 else sized(body=b"x" * number)
        for number in range(1, 400)
    )
    await wire.deliver(mixed[:5000])
    assert app.begun == 1
    app.may_answer.set()
    await wire.send(*(mixed[start : start + 5000] for start in range(5000, len(mixed), 5000)))
    assert wire.statuses == [200] * 399
    assert [message.target for message in app.messages] == [
        b"/%d" % number if number % 3 else b"/a" for number in range(1, 400)
    ]


async def test_a_fault_behind_others_is_answered_after_them() -> None:
    app = Noting()
    app.may_answer.clear()
    wire, app = await connected(app)
    await wire.deliver(NEXT + NEXT + b"nonsense\r\n\r\n" + NEXT)
    assert (wire.statuses, wire.is_closed) == ([], False)
    app.may_answer.set()
    await wire.send()
    assert wire.statuses == [200, 200, 400]
    assert wire.is_closed
    assert app.begun == 2


async def test_a_request_whose_body_goes_wrong_before_its_turn_never_begins() -> None:
    app = Noting()
    app.may_answer.clear()
    wire, app = await connected(app)
    await wire.deliver(NEXT + request(b"Transfer-Encoding: chunked") + b"zz\r\n")
    app.may_answer.set()
    await wire.send()
    assert wire.statuses == [200, 400]
    assert app.begun == 1
    assert wire.is_closed


async def test_a_body_that_goes_wrong_ends_the_request_it_belongs_to() -> None:
    wire, app = await connected()
    await wire.send(request(b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n", b"zz\r\n")
    assert wire.statuses == [400]
    assert wire.is_closed
    wire.end()
    await until(lambda: _noted(app, 1))
    assert app.messages[0].body is None, "it is told that the client has gone"


async def _noted(app: Noting, count: int) -> bool:
    return len(app.messages) == count


async def test_nothing_is_read_after_the_last_request() -> None:
    for last in (request(b"Connection: close"), b"GET / HTTP/1.0\r\n\r\n"):
        for rest in (NEXT, b"nonsense\r\n\r\n", sized()):
            wire, app = await connected()
            await wire.send(last + rest, rest)
            assert wire.statuses == [200]
            assert app.begun == 1
            assert wire.is_closed


class Refusing(Noting):
    """Answers without reading a body."""

    async def __call__(self, _scope: object, _receive: object, send: object) -> None:
        self.begun += 1
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]


async def test_a_client_that_was_never_told_to_send_its_body_sends_nothing_more_here() -> None:
    app = Refusing()
    wire, _ = await connected(app)
    await wire.send(request(b"Expect: 100-continue", b"Content-Length: 2"))
    assert b"connection: close" in wire.written
    assert wire.is_closed
    assert (wire.statuses, app.begun) == ([401], 1)


async def test_one_that_was_told_may_go_on() -> None:
    wire, app = await connected()
    await wire.send(request(b"Expect: 100-continue", b"Content-Length: 2"), b"{}", NEXT)
    assert wire.statuses == [100, 200, 200]
    assert [message.body for message in app.messages] == [b"{}", b""]
    assert b"connection: close" not in wire.written


HOSTS = (
    b"x:99999",
    b"x:y",
    b"x:-1",
    b"x/a",
    b"x/a?",
    b"x?",
    b"x#",
    b"a@b",
    b"[::1",
    b"[x]",
    b"]",
    b"x y",
    b"x\\a",
    b"%zz",
)
MORE_HOSTS = (b"x:80:80", b":", b"", b"\xc3\xa9", b'"', b"x" * 300)


@pytest.mark.parametrize("host", HOSTS + MORE_HOSTS)
async def test_a_malformed_host_is_refused_on_every_way(host: bytes) -> None:
    for target in (b"/a", b"/v1/deals/d/join", b"/v1/deals/d/join?x=1"):
        wire, app = await connected()
        await wire.send(request(host=host, target=target))
        assert (wire.statuses, app.begun, wire.is_closed) == ([400], 0, True)


@pytest.mark.parametrize(
    "host", [b"x", b"x:80", b"x:", b"shop.example:65535", b"[::1]:8000", b"127.0.0.1", b"a_b", b"x\t"]
)
async def test_a_host_with_or_without_a_port_is_taken(host: bytes) -> None:
    wire, app = await connected()
    await wire.send(request(host=host))
    assert wire.statuses == [200]
    assert dict(app.scopes[0]["headers"])[b"host"] == host.strip()


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (request(b"Transfer-Encoding: gzip, chunked"), 501),
        (request(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
        (request(target=b"/a#b"), 400),
        (request(target=b"*", method=b"OPTIONS"), 400),
        (request(target=b"http://"), 400),
        (request(target=b"http://me@here/a"), 400),
        (request(target=b"ftp://here/a"), 400),
        (request(target=b"/" + b"a" * 9000), 414),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_told_so_and_ends_the_connection(message: bytes, status: int) -> None:
    wire, app = await connected()
    await wire.send(message)
    assert (wire.statuses, app.begun, wire.is_closed) == ([status], 0, True)
    head, _, body = bytes(wire.written).partition(b"\r\n\r\n")
    assert b"connection: close" in head
    problem = json.loads(body)
    assert (problem["code"], problem["status"]) == ("invalid", status)


async def test_an_absolute_target_is_an_ordinary_one_and_names_the_host() -> None:
    wire, app = await connected()
    for target in (b"http://other:81/a?b=c", b"HTTPS://other:81/a?b=c", b"http://other:81?b=c"):
        await wire.send(request(target=target))
    assert [message.target for message in app.messages] == [b"/a?b=c", b"/a?b=c", b"/?b=c"]
    assert all(dict(scope["headers"])[b"host"] == b"other:81" for scope in app.scopes)


async def test_the_gate_sees_an_absolute_target_for_what_it_is() -> None:
    app = Noting()
    app.may_answer.clear()
    gate = PlacementGate(1)
    protocol = gated(gate)
    first = Wire(app, protocol)
    await first.deliver(request(b"Content-Length: 0", target=b"http://here/v1/deals/d/join"))
    assert gate.in_flight == 1
    second = Wire(app, protocol)
    await second.send(request(b"Content-Length: 0", target=b"http://here/v1/deals/d/join"))
    assert second.statuses == [503]
    app.may_answer.set()
    await first.send()
    assert gate.in_flight == 0
    for wire in (first, second):
        wire.end()


async def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_protocol, "REQUEST_WAIT_S_MAX", 0.05)
    wire, app = await connected()
    await wire.send(request(b"Content-Length: 100000"))
    while not wire.is_closed:
        await wire.send(b"x")
        await asyncio.sleep(0.005)
    assert wire.statuses == []
    wire.end()
    await until(lambda: _noted(app, 1))


async def test_a_body_that_nobody_reads_has_to_end_soon_however_fast_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timed_protocol, "REQUEST_WAIT_S_MAX", 0.05)
    wire, _ = await connected(Refusing())
    await wire.send(request(b"Content-Length: 100000000"))
    while not wire.is_closed:
        await wire.send(b"x" * 5000)
        await asyncio.sleep(0.001)
    assert wire.statuses == [401]
    wire.end()


async def test_an_address_has_only_so_many_connections() -> None:
    limit = ConnectionLimit(2)
    protocol = gated(PlacementGate(1), connection_limit=limit)
    wires = [Wire(Noting(), protocol) for _ in range(2)]
    refused = Wire(Noting(), protocol)
    assert (refused.statuses, refused.is_closed) == ([503], True)
    await refused.send(NEXT)
    refused.end()
    wires.pop().end()
    again = Wire(Noting(), protocol)
    await again.send(NEXT)
    assert again.statuses == [200]
    for wire in (*wires, again):
        wire.end()
    assert limit._counts == {}


def test_trusted_proxies_and_local_sockets_are_not_counted() -> None:
    limit = ConnectionLimit(1, ("10.0.0.0/8", "2001:db8::7"))
    for client in (("10.1.2.3", 1), ("::ffff:10.1.2.3", 1), ("2001:db8::7", 1), None):
        assert [limit.enter(client) for _ in range(3)] == [""] * 3
    assert [limit.enter(("192.0.2.1", 1)), limit.enter(("192.0.2.1", 2))] == ["192.0.2.1", None]
    assert ConnectionLimit(1, ("*",)).enter(("192.0.2.1", 1)) == ""


async def test_a_defect_of_ours_is_logged_and_not_taken_for_the_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_self: ImpatientProtocol) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(ImpatientProtocol, "take_head", broken)
    wire, _ = await connected()
    with structlog.testing.capture_logs() as lines:
        await wire.send(NEXT)
    assert wire.is_closed
    assert [line["event"] for line in lines] == ["a request could not be begun"]
