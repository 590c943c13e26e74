"""Calls that place are refused before they cost anything, and nothing else on their connection notices."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import httptools
import msgspec
import pytest
import structlog
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from pintuan.http.problems import Problem
from pintuan.http.protocol import placement_gate
from pintuan.http.protocol.connection import ImpatientProtocol, gated
from pintuan.http.protocol.direct_call import DirectCall
from pintuan.http.protocol.placement_gate import ROUTES, PlacementGate, route_of, whole_call
from tests.waiting import until

if TYPE_CHECKING:
    from pintuan.buying.orders.direct import DirectPlacing

pytestmark = pytest.mark.anyio

HEALTH = b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n"
BODY = b'{"payment_method":"pm_ok"}'


def join(extra: bytes = b"", target: bytes = b"/v1/deals/deal_1/join") -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n%b\r\n" % (target, len(BODY), extra)
    return head + BODY


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Connection:
    """A client's side of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self) -> Reply:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = dict(line.split(": ", 1) for line in lines[1:])
        assert len(headers) == len(lines) - 1, "no header comes twice"
        body = await self.reader.readexactly(int(headers["content-length"]))
        return Reply(int(lines[0].split(" ")[1]), headers, body)

    async def ask(self, data: bytes) -> Reply:
        self.send(data)
        return await self.reply()


class Shop:
    """Answers with what it was asked and sent; calls that place are answered once they may be."""

    def __init__(self) -> None:
        self.may_place = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            body, more = body + message["body"], message["more_body"]
        if scope["method"] == "POST":
            await self.may_place.wait()
        text = scope["path"].encode() + body
        head = [(b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": text})


class Placing:
    """Takes every call on, and answers those it has when it is told to."""

    def __init__(self) -> None:
        self.calls: list[DirectCall] = []

    def begin(self, call: DirectCall) -> bool:
        self.calls.append(call)
        return True

    def answer_all(self) -> None:
        for call in self.calls:
            call.answer(201, b"", call.body)


@dataclass
class Running:
    shop: Shop
    gate: PlacementGate
    server: uvicorn.Server
    port: int
    writers: list[asyncio.StreamWriter]

    async def connect(self, receive_bytes: int | None = None) -> Connection:
        """Connects; with `receive_bytes` the system keeps about so much until we read it."""
        client = socket.socket()
        if receive_bytes is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=client)
        self.writers.append(writer)
        return Connection(reader, writer)

    async def fill(self) -> list[Connection]:
        """Connections each with a call under way, so that the gate is full."""
        connections = []
        while not self.gate.is_full:
            connections.append(await self.connect())
            connections[-1].send(join())
            await until(lambda: self.counts(len(connections)))
        return connections

    async def has_read_heads(self) -> bool:
        """Whether every client's head is there, and nothing of its body."""
        protocols = cast("set[ImpatientProtocol]", self.server.server_state.connections)
        return sum(one._direct is not None for one in protocols) == len(self.writers)

    async def counts(self, in_flight: int) -> bool:
        return self.gate.in_flight == in_flight


@asynccontextmanager
async def serving(
    in_flight_max: int, keep_alive_s: float = 60.0, placing: Placing | None = None
) -> AsyncIterator[Running]:
    listener = socket.create_server(("127.0.0.1", 0))
    shop, gate = Shop(), PlacementGate(in_flight_max)
    config = uvicorn.Config(
        shop,
        loop="uvloop",
        http=gated(gate, cast("DirectPlacing | None", placing)),
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=keep_alive_s,  # type: ignore[arg-type] # Tests are in a hurry.
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listener]))
    running = Running(shop, gate, server, listener.getsockname()[1], [])
    try:
        yield running
    finally:
        shop.may_place.set()
        for writer in running.writers:
            writer.close()
        server.should_exit = True
        await task


async def test_one_too_many_gets_the_documented_problem_and_may_go_on() -> None:
    async with serving(in_flight_max=2) as running:
        placing = await running.fill()
        client = await running.connect()
        refused = await client.ask(join(b"X-Request-Id: mine-1\r\n"))
        assert refused.status == 503
        problem = msgspec.json.decode(refused.body, type=Problem)
        assert (problem.status, problem.code) == (503, "overloaded")
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["x-request-id"] == "mine-1"
        assert refused.headers["x-content-type-options"] == "nosniff"
        assert refused.headers["cache-control"] == "no-store"
        assert "date" in refused.headers
        assert "connection" not in refused.headers
        assert (await client.ask(HEALTH)).body == b"/health/live"

        running.shop.may_place.set()
        assert [(await one.reply()).status for one in placing] == [200, 200]
        assert (await client.ask(join())).body == b"/v1/deals/deal_1/join" + BODY
        assert running.gate.in_flight == 0


async def test_refusals_have_ids_of_their_own_unless_a_sane_one_came() -> None:
    async with serving(in_flight_max=1) as running:
        await running.fill()
        client = await running.connect()
        ids = [(await client.ask(join())).headers["x-request-id"] for _ in range(3)]
        ids.append((await client.ask(join(b'X-Request-Id: "a b"\r\n'))).headers["x-request-id"])
        assert len(set(ids)) == 4
        assert all(len(text) == 24 and text.isalnum() for text in ids)


@pytest.mark.parametrize("gap", [1, 7, 40])
async def test_heads_and_bodies_may_come_in_pieces(gap: int) -> None:
    async with serving(in_flight_max=1) as running:
        (placing,) = await running.fill()
        client = await running.connect()
        for _ in range(2):
            request = join() + HEALTH
            for start in range(0, len(request), gap):
                client.send(request[start : start + gap])
                await client.writer.drain()
                await asyncio.sleep(0)
            assert (await client.reply()).status == 503
            assert (await client.reply()).body == b"/health/live"
        running.shop.may_place.set()
        assert (await placing.reply()).status == 200


async def test_a_refusal_does_not_wait_for_the_body_and_the_body_is_no_request() -> None:
    async with serving(in_flight_max=1) as running:
        await running.fill()
        client = await running.connect()
        client.send(
            b"POST /v1/groups/grp_1/join HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        assert (await client.reply()).status == 503
        client.send(b"%x\r\n%b\r\n" % (len(HEALTH), HEALTH))
        client.send(b"0\r\n\r\n")
        assert (await client.ask(b"GET /after HTTP/1.1\r\nHost: here\r\n\r\n")).body == b"/after"


async def test_of_calls_whose_bodies_come_later_no_more_begin_than_may() -> None:
    placing = Placing()
    async with serving(in_flight_max=2, placing=placing) as running:
        clients = [await running.connect() for _ in range(5)]
        head = join()[: -len(BODY)]
        for client in clients:
            client.send(head)
        await until(running.has_read_heads)
        assert running.gate.in_flight == 0
        for client in clients:
            client.send(BODY)
        await until(lambda: running.counts(2))
        refused = [asyncio.create_task(client.reply()) for client in clients]
        await until(lambda: has_ended(refused, 3))
        assert len(placing.calls) == 2
        placing.answer_all()
        replies = await asyncio.gather(*refused)
        assert sorted(reply.status for reply in replies) == [201, 201, 503, 503, 503]
        assert running.gate.in_flight == 0
        for client in clients:
            assert (await client.ask(HEALTH)).status == 200


async def has_ended(tasks: list[asyncio.Task[Reply]], count: int) -> bool:
    return sum(task.done() for task in tasks) == count


async def test_pipelined_answers_keep_their_order() -> None:
    async with serving(in_flight_max=1) as running:
        (placing,) = await running.fill()
        client = await running.connect()
        client.send(HEALTH + join() + join() + HEALTH + join())
        assert [(await client.reply()).status for _ in range(5)] == [200, 503, 503, 200, 503]
        running.shop.may_place.set()
        assert (await placing.reply()).status == 200
        client.send(join() + join() + HEALTH + join())
        assert [(await client.reply()).status for _ in range(4)] == [200] * 4


async def test_a_call_behind_another_is_refused_when_its_turn_comes_and_not_before() -> None:
    async with serving(in_flight_max=1) as running:
        client = await running.connect()
        client.send(join() + join())
        await until(lambda: running.counts(1))
        running.shop.may_place.set()
        assert [(await client.reply()).status for _ in range(2)] == [200, 200]


async def test_only_calls_that_place_are_refused() -> None:
    async with serving(in_flight_max=1) as running:
        await running.fill()
        client = await running.connect()
        for target in (b"/v1/deals/d/groups", b"/v1/deals/d/buy?a=b", b"/v1/groups/g/join"):
            assert (await client.ask(join(target=target))).status == 503, target
        for path in (b"/v1/deals/d/join", b"/v1/deals/d/groups"):
            assert (await client.ask(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path)).body == path
        running.shop.may_place.set()
        for path in (b"/v1/deals/d/end", b"/v1/deals/d/e/join", b"/v1/deals//join", b"/g/code/join"):
            assert (await client.ask(join(target=path))).body == path + BODY, path


def test_a_target_names_the_route_that_is_counted() -> None:
    targets = (b"/v1/deals/d/join", b"/v1/deals/d/groups", b"/v1/deals/d/buy", b"/v1/groups/g/join?x=1")
    assert tuple(map(route_of, targets)) == ROUTES
    for target in (
        b"",
        b"*",
        b"/v1/deals/d/join/",
        b"//v1/deals/d/join",
        b"/v1/%64eals/d/join",
        b"/v1/deals/d/join#a",
        b"/v1/groups/g/groups",
        b"/v1/groups/g/buy",
        b"/v1/deals/d/joins",
    ):
        assert route_of(target) is None


async def test_a_client_that_waits_to_be_told_to_send_its_body_is_told_that_this_was_the_last() -> None:
    async with serving(in_flight_max=1) as running:
        await running.fill()
        client = await running.connect()
        head, _, _ = join(b"Expect: 100-continue\r\n").partition(BODY)
        refused = await client.ask(head)
        assert (refused.status, refused.headers["connection"]) == (503, "close")
        assert await client.reader.read() == b""


@pytest.mark.parametrize("way", ["the client", "the server"])
async def test_the_last_answer_on_a_connection_says_so(way: str) -> None:
    async with serving(in_flight_max=1) as running:
        await running.fill()
        client = await running.connect()
        assert (await client.ask(HEALTH)).status == 200
        if way == "the server":
            state = running.server.server_state
            state.default_headers = [*state.default_headers, (b"connection", b"close")]
        extra = b"Connection: close\r\n" if way == "the client" else b""
        refused = await client.ask(join(extra) + HEALTH)
        assert (refused.status, refused.headers["connection"]) == (503, "close")
        assert await client.reader.read() == b""


async def test_a_call_whose_client_has_gone_counts_until_its_work_is_done() -> None:
    async with serving(in_flight_max=1) as running:
        (placing,) = await running.fill()
        placing.writer.close()
        client = await running.connect()
        assert (await client.ask(join())).status == 503
        running.shop.may_place.set()
        await until(lambda: running.counts(0))
        assert (await client.ask(join())).status == 200


async def test_who_does_not_read_refusals_is_not_read_from() -> None:
    asked = 10_000
    async with serving(in_flight_max=1) as running:
        (placing,) = await running.fill()
        client = await running.connect(receive_bytes=16 * 1024)
        assert (await client.ask(HEALTH)).status == 200
        (protocol,) = (
            one
            for one in running.server.server_state.connections
            if one.transport.get_extra_info("peername") == client.writer.get_extra_info("sockname")
        )
        # Nothing is read here until this task reads, for the stream stops at its own limit.
        sending = asyncio.create_task(_send(client, asked))
        await until(lambda: _is_paused(protocol))
        assert protocol.transport.get_write_buffer_size() < 2 * 2**20
        statuses = [(await client.reply()).status for _ in range(asked)]
        await sending
        assert statuses == [503] * asked
        running.shop.may_place.set()
        assert (await placing.reply()).status == 200


async def _send(client: Connection, count: int) -> None:
    for _ in range(count // 100):
        client.send(join() * 100)
        await client.writer.drain()


async def _is_paused(protocol: Any) -> bool:
    return bool(protocol.flow.read_paused)


@pytest.mark.parametrize("request_", [HEALTH, join()])
async def test_a_connection_is_kept_for_a_while_after_either_answer(request_: bytes) -> None:
    async with serving(in_flight_max=1, keep_alive_s=0.2) as running:
        await running.fill()
        client = await running.connect()
        for _ in range(2):
            assert (await client.ask(request_)).status in (200, 503)
        assert await client.reader.read() == b"", "and then it is closed"


async def test_refusals_are_counted_by_route_and_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement_gate, "REVIEW_S", 0.02)
    labels = {"route": "/v1/deals/{deal_id}/join", "method": "POST", "status": "503"}

    def counted() -> tuple[float, float]:
        return (
            REGISTRY.get_sample_value("pintuan_http_requests_total", labels) or 0.0,
            REGISTRY.get_sample_value("pintuan_refusals_total", {"code": "overloaded"}) or 0.0,
        )

    async def all_counted() -> bool:
        return counted() == (before[0] + 10, before[1] + 10)

    before = counted()
    with structlog.testing.capture_logs() as lines:
        async with serving(in_flight_max=1) as running:
            await running.fill()
            client = await running.connect()
            for _ in range(10):
                assert (await client.ask(join())).status == 503
            await until(all_counted)
    (line, *more) = [line for line in lines if "refused" in line]
    assert line["log_level"] == "warning"
    assert line["in_flight_max"] == 1
    assert sum(one["refused"] for one in (line, *more)) <= 10
    assert len(more) <= 1
    assert json.dumps(line)


def test_a_plain_call_is_known_without_a_parser() -> None:
    assert whole_call(join()) == (ROUTES[0], ())
    assert whole_call(join(b"Connection: keep-alive\r\n")) == (ROUTES[0], ())
    sent = ((b"x-request-id", b"Mine-1"),)
    assert whole_call(join(b"X-REQUEST-ID: Mine-1\r\n")) == (ROUTES[0], sent)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEALTH,
        join()[:-1],
        join() + b"G",
        join() + join(),
        b"\r\n" + join(),
        join(b"Transfer-Encoding: chunked\r\n"),
        join(b"X: a\r\n transfer\r\n"),
        join(b"Content-Length: 5\r\n"),
        join(b"X: a\nContent-Type: b\r\n"),
        join(b"Expect: 100-continue\r\n"),
        join(b"Connection: close\r\n"),
        join(b"Connection: keep-alive\r\nConnection: close\r\n"),
        join(b"Connection: upgrade\r\nUpgrade: h2c\r\n"),
        join().replace(b"Content-Length", b"X-Content-Length"),
        join().replace(b"HTTP/1.1", b"HTTP/1.0"),
        join().replace(b"HTTP/1.1", b"HTTP/1.1 "),
        join().replace(b"Length: 2", b"Length: +2"),
        join(target=b"/v1/deals/d/pause"),
        join(target=b"http://here/v1/deals/d/join"),
    ],
)
def test_anything_else_is_left_to_the_parser(data: bytes) -> None:
    assert whole_call(data) is None


LINES = (
    b"Content-Length: 26\r\n",
    b"Content-Length: 0\r\n",
    b"content-length:26\r\n",
    b"Content-Length : 26\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"X: Content-Length: 26\r\n",
    b"X: a\n",
    b"X: a\r",
    b" folded\r\n",
    b"\r\n",
    b"\n\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"X-Request-Id: abc\r\n",
    b"Host: here\r\n",
)


class Messages:
    """What a parser makes of bytes: how many messages begin and end."""

    def __init__(self) -> None:
        self.begun = self.ended = 0

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_message_complete(self) -> None:
        self.ended += 1


@given(st.lists(st.sampled_from(LINES), max_size=5), st.sampled_from((b"", BODY, BODY * 2)))
def test_no_parser_sees_more_or_less_than_one_message_in_a_plain_call(
    lines: list[bytes], body: bytes
) -> None:
    data = b"POST /v1/deals/d/join HTTP/1.1\r\n%b\r\n%b" % (b"".join(lines), body)
    if whole_call(data) is None:
        return
    messages = Messages()
    parser = httptools.HttpRequestParser(messages)
    # One that cannot be parsed would have ended its connection, so nobody is misled about what follows.
    with suppress(httptools.HttpParserError):
        parser.feed_data(data)
        assert (messages.begun, messages.ended) == (1, 1)
        assert parser.should_keep_alive()
