"""An answer that is long: its client holds nobody else's place, and must take it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from pintuan.base.errors import Overloaded
from pintuan.http.fair_share import layer as layer_module
from pintuan.http.fair_share import long_answer
from pintuan.http.fair_share.call_class import CallClass
from pintuan.http.fair_share.layer import FairShare
from pintuan.http.fair_share.limits import PLACES
from pintuan.http.fair_share.long_answer import PIECE_BYTES
from pintuan.http.hanging_up import EXTENSION, NOW
from pintuan.http.protocol.connection import ImpatientProtocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar.types import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio

PATH = "/v1/me/export"
PLACE_COUNT = PLACES[CallClass.EXPORTS].count
PARTS = 4
BODY = b"x" * (2 * PIECE_BYTES + 1)


class Client:
    """Takes a piece when it is let, and knows when it was hung up on."""

    def __init__(self, *, waits_for: str = "http.response.body") -> None:
        self._waits_for = waits_for
        self.reads, self.hung_up, self.asked = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.taken: list[Message] = []

    async def send(self, message: Message) -> None:
        self.asked.set()
        if message["type"] == self._waits_for:
            await self.reads.wait()
        self.taken.append(message)

    @property
    def pieces(self) -> list[bytes]:
        """What came of the body."""
        return [message["body"] for message in self.taken if message["type"] == "http.response.body"]

    def hang_up(self) -> None:
        """What the connection does when it is dropped: nobody waits for the client any more."""
        self.hung_up.set()
        self.reads.set()


async def export(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in range(PARTS):
        await send({"type": "http.response.body", "body": BODY, "more_body": part < PARTS - 1})


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def begin(layer: FairShare, client: Client, address: str = "192.0.2.1") -> asyncio.Task[None]:
    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": PATH,
        "query_string": b"",
        "client": (address, 1),
        "headers": [],
        "extensions": {EXTENSION: {NOW: client.hang_up}},
    }

    async def receive() -> Any:
        await asyncio.Event().wait()

    return asyncio.create_task(layer(scope, receive, client.send))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is waited for at all is slow."""
    monkeypatch.setattr(long_answer, "ASIDE_AFTER_S", 0.0)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("untaken", ["http.response.start", "http.response.body"])
async def test_clients_that_do_not_read_keep_nobody_from_exporting(untaken: str) -> None:
    """The start of an answer waits as well, where answers before it on the connection were not taken."""
    layer = FairShare(export, lambda: False)
    slow = [Client(waits_for=untaken) for _ in range(PLACE_COUNT + 1)]
    exports = [begin(layer, client) for client in slow]
    await asyncio.gather(*(client.asked.wait() for client in slow))

    quick = Client()
    quick.reads.set()
    await begin(layer, quick)
    assert b"".join(quick.pieces) == BODY * PARTS

    for client in slow:
        client.reads.set()
    await asyncio.gather(*exports)
    assert all(b"".join(client.pieces) == BODY * PARTS for client in slow)
    room = layer.rooms[CallClass.EXPORTS]
    assert (room.aside, room.waiting) == (0, 0)
    assert [room.try_enter() for _ in range(PLACE_COUNT + 1)] == [True] * PLACE_COUNT + [False]


async def test_an_answer_is_sent_in_pieces_that_a_client_must_take_one_by_one() -> None:
    layer = FairShare(export, lambda: False)
    client = Client()
    client.reads.set()
    await begin(layer, client)
    assert max(map(len, client.pieces)) == PIECE_BYTES
    bodies = [message for message in client.taken if message["type"] == "http.response.body"]
    assert [message["more_body"] for message in bodies] == [True] * (len(bodies) - 1) + [False]


@pytest.mark.parametrize("untaken", ["http.response.start", "http.response.body"])
async def test_a_client_that_takes_nothing_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, untaken: str
) -> None:
    monkeypatch.setattr(long_answer, "READ_GRACE_S", 0.0)
    monkeypatch.setattr(long_answer, "READ_BYTES_PER_S_MIN", PIECE_BYTES * 100)
    layer = FairShare(export, lambda: False)
    client = Client(waits_for=untaken)
    exporting = begin(layer, client)
    await client.hung_up.wait()
    await exporting
    assert layer.rooms[CallClass.EXPORTS].aside == 0


@pytest.mark.usefixtures("at_once")
async def test_only_so_many_answers_wait_for_their_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_module, "ASIDE_MAX", 1)
    layer = FairShare(export, lambda: False)
    first, second = Client(), Client()
    exports = [begin(layer, first)]
    await first.asked.wait()
    await turns()
    assert layer.rooms[CallClass.EXPORTS].aside == 1
    exports.append(begin(layer, second))
    await second.hung_up.wait()
    assert not first.hung_up.is_set()
    first.reads.set()
    await asyncio.gather(*exports)
    assert layer.rooms[CallClass.EXPORTS].aside == 0


@pytest.mark.usefixtures("at_once")
async def test_an_answer_that_gets_no_place_again_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = FairShare(export, lambda: False)
    room = layer.rooms[CallClass.EXPORTS]
    client = Client()
    exporting = begin(layer, client)
    await client.asked.wait()
    await turns()
    assert room.aside == 1

    async def nobody_leaves(_address: str) -> None:
        raise Overloaded("others were worked on for too long", retry_after_s=1)

    monkeypatch.setattr(room, "enter", nobody_leaves)
    client.reads.set()
    await client.hung_up.wait()
    await exporting
    assert room.aside == 0
    assert [room.try_enter() for _ in range(PLACE_COUNT + 1)] == [True] * PLACE_COUNT + [False]


async def test_over_a_real_connection_the_application_learns_that_its_client_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(long_answer, "READ_GRACE_S", 0.05)
    left = asyncio.Event()

    async def endless(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.create_task(receive_until_gone(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": BODY, "more_body": True})
        left.set()

    async def receive_until_gone(receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    layer = FairShare(endless, lambda: False)
    async with served(layer) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(f"GET {PATH} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        await left.wait()
        writer.transport.abort()
    assert layer.rooms[CallClass.EXPORTS].aside == 0


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """The port of a server of the application."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=ImpatientProtocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running
