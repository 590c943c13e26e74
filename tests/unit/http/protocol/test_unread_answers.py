"""What clients do not take is bounded for one, for an address and for the process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar, Final

import pytest
import uvicorn

from pintuan.http.protocol import timed_protocol
from pintuan.http.protocol.connection import ImpatientProtocol
from pintuan.http.protocol.connection_limit import ConnectionLimit
from pintuan.http.protocol.unread_answers import UNCOUNTED_BYTES_MAX, UnreadAnswers

pytestmark = pytest.mark.anyio

# More than the kernel takes for a client on its behalf.
ANSWER: Final = b"x" * (16 * 1024 * 1024)
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


class Client:
    """One whose answer waits."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.has_gone = False

    def waiting_bytes(self) -> int:
        return self.size_bytes

    def hang_up(self) -> None:
        self.has_gone = True


def gone(clients: list[Client]) -> list[int]:
    return [number for number, client in enumerate(clients) if client.has_gone]


def test_beyond_the_bound_of_the_process_those_end_that_kept_most_for_longest() -> None:
    unread = UnreadAnswers(bytes_max=100, bytes_per_address_max=1000)
    clients = [Client(30), Client(5), Client(40), Client(20)]
    for second, client in enumerate(clients):
        unread.begin(client, f"address-{second}", float(second))
    assert (gone(clients), unread.waiting_bytes) == ([], 95)

    late = Client(40)
    unread.begin(late, "", 4.0)

    # 30 for 4 s are 120, 40 for 2 s are 80.
    assert (gone([*clients, late]), unread.waiting_bytes) == ([0, 2], 65)


def test_an_address_has_a_bound_of_its_own_and_whoever_speaks_for_many_has_none() -> None:
    unread = UnreadAnswers(bytes_max=1000, bytes_per_address_max=50)
    other, many = Client(40), [Client(30) for _ in range(3)]
    unread.begin(other, "other", 0.0)
    for client in many:
        unread.begin(client, "", 0.0)
    clients = [Client(30) for _ in range(4)]
    for second, client in enumerate(clients, start=1):
        unread.begin(client, "crowd", float(second))

    assert gone([other, *many]) == []
    assert gone(clients) == [0, 1, 2]
    assert unread.waiting_bytes == 40 + 3 * 30 + 30


def test_what_was_taken_meanwhile_is_not_held_against_anybody() -> None:
    unread = UnreadAnswers(bytes_max=100, bytes_per_address_max=1000)
    reading, late = Client(90), Client(60)
    unread.begin(reading, "a", 0.0)
    reading.size_bytes = 20

    unread.begin(late, "b", 1.0)

    assert (gone([reading, late]), unread.waiting_bytes) == ([], 80)
    for client in (reading, late, late):
        unread.end(client)
    assert unread.waiting_bytes == 0


def test_one_answer_alone_may_be_of_any_size() -> None:
    unread = UnreadAnswers(bytes_max=100, bytes_per_address_max=50)
    alone = Client(500)
    unread.begin(alone, "a", 0.0)
    assert not alone.has_gone


class Watched(ImpatientProtocol):
    """Tells when a connection waits for its client, and when it has ended."""

    waits: ClassVar[asyncio.Queue[Watched]]
    ended: ClassVar[asyncio.Queue[Watched]]

    def pause_writing(self) -> None:
        super().pause_writing()
        self.waits.put_nowait(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.ended.put_nowait(self)


async def _large(_scope: Any, _receive: Any, send: Any) -> None:
    size = str(len(ANSWER)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", size)]})
    await send({"type": "http.response.body", "body": ANSWER})


@asynccontextmanager
async def asking(unread: UnreadAnswers, request: bytes = REQUEST) -> AsyncIterator[Callable[[], Any]]:
    """What makes a client that asks a server for a large answer, and takes only what it is told to."""
    Watched.waits, Watched.ended = asyncio.Queue(), asyncio.Queue()
    protocol = type("P", (Watched,), {"unread": unread, "connection_limit": ConnectionLimit(100)})
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(_large, http=protocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve([listener]))

    async with AsyncExitStack() as clients:

        async def ask() -> socket.socket:
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(client, listener.getsockname())
            await loop.sock_sendall(client, request)
            return client

        yield ask
    server.should_exit = True
    await running


async def test_clients_that_do_not_read_are_let_go_of_before_they_fill_the_memory() -> None:
    unread = UnreadAnswers(bytes_max=2 * len(ANSWER))
    async with asking(unread) as ask:
        for asked in range(1, 7):
            await ask()
            await Watched.waits.get()
            assert unread.waiting_bytes <= 2 * len(ANSWER)
            if asked > 3:
                # Two fit for certain, and four never do.
                await Watched.ended.get()
    assert unread.waiting_bytes == 0


async def test_one_address_is_let_go_of_by_its_own_bound() -> None:
    unread = UnreadAnswers(bytes_per_address_max=len(ANSWER))
    async with asking(unread) as ask:
        await ask()
        first = await Watched.waits.get()
        await ask()
        await Watched.waits.get()
        assert await Watched.ended.get() is first
        assert 0 < unread.waiting_bytes <= len(ANSWER)


async def test_a_client_that_takes_too_little_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_protocol, "GRACE_S", 0.0)
    monkeypatch.setattr(timed_protocol, "BYTES_PER_S_MIN", 10 * len(ANSWER))
    unread = UnreadAnswers()
    async with asking(unread) as ask:
        await ask()
        assert await Watched.waits.get() is await Watched.ended.get()
        assert unread.waiting_bytes == 0


async def test_what_is_left_of_an_answer_does_not_keep_an_idle_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hung_up: list[ImpatientProtocol] = []

    def hang_up(connection: ImpatientProtocol) -> None:
        hung_up.append(connection)
        connection.transport.abort()

    monkeypatch.setattr(timed_protocol, "REQUEST_WAIT_S_MAX", 0.01)
    # Less than is looked at while it waits.
    monkeypatch.setattr(Watched, "waiting_bytes", lambda _: 1)
    monkeypatch.setattr(Watched, "hang_up", hang_up)
    async with asking(UnreadAnswers(), request=b"GET /") as ask:
        await ask()
        assert hung_up == [await Watched.ended.get()]


async def test_a_client_that_reads_gets_all_of_it_and_its_connection_goes_on() -> None:
    unread = UnreadAnswers(bytes_max=1, bytes_per_address_max=1)
    loop = asyncio.get_running_loop()
    async with asking(unread) as ask:
        client = await ask()
        await Watched.waits.get()
        assert unread.waiting_bytes > UNCOUNTED_BYTES_MAX
        for _ in range(2):
            got = b""
            while b"\r\n\r\n" not in got:
                got += await loop.sock_recv(client, 1024)
            left = len(ANSWER) - len(got.partition(b"\r\n\r\n")[2])
            while left:
                left -= len(await loop.sock_recv(client, min(left, 1 << 20)))
            assert unread.waiting_bytes == 0
            await loop.sock_sendall(client, REQUEST)
        assert Watched.ended.empty()
