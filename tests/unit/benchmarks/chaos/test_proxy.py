"""A proxy that can be told to misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from benchmarks.chaos.proxy import Link, open_link
from tests.waiting import until

pytestmark = pytest.mark.anyio

HOST = "127.0.0.1"
WAIT_S = 10.0
NOTHING_S = 0.05
"""For what must not come: on a slow machine a test passes that should not, and never the other way."""


class Talk:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def say(self, line: bytes) -> None:
        self.writer.write(line)

    async def heard(self) -> bytes:
        """The next line; nothing at the end, however the connection came to it."""
        async with asyncio.timeout(WAIT_S):
            with suppress(ConnectionError):
                return await self._reader.readline()
        return b""

    async def hears_nothing(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(NOTHING_S):
                await self._reader.readline()
            return False
        return True


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each line with itself, and the end with a farewell."""
    with suppress(ConnectionError):
        while line := await reader.readline():
            writer.write(line)
        writer.write(b"bye\n")
    await ended(writer)


async def ended(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def linked() -> AsyncIterator[Link]:
    """A link to a server that echoes; its connections have all ended when the block has."""
    talks: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.create_task(echo(reader, writer)))

    server = await asyncio.start_server(accept, HOST, 0)
    link = await open_link((HOST, server.sockets[0].getsockname()[1]))
    try:
        yield link
    finally:
        await link.close()
        server.close()
        await asyncio.gather(*talks)


@asynccontextmanager
async def talking(link: Link, *, greet: bool = True) -> AsyncIterator[Talk]:
    """A connection through the link; one that greets was answered once, so that both its sides are there."""
    talk = Talk(*await asyncio.open_connection(HOST, link.port))
    try:
        if greet:
            talk.say(b"hello\n")
            assert await talk.heard() == b"hello\n"
        yield talk
    finally:
        await ended(talk.writer)


async def test_it_passes_everything_both_ways_up_to_the_end() -> None:
    async with linked() as link, talking(link) as talk:
        for number in range(100):
            talk.say(b"%d\n" % number)
            assert await talk.heard() == b"%d\n" % number
        talk.writer.write_eof()
        assert await talk.heard() == b"bye\n"
        assert await talk.heard() == b""


async def test_a_stalled_link_loses_nothing_and_tells_nobody() -> None:
    async with linked() as link, talking(link) as talk:
        link.stall()
        async with talking(link, greet=False) as late:
            talk.say(b"meanwhile\n")
            late.say(b"late\n")
            assert await talk.hears_nothing()
            assert await late.hears_nothing()
            link.resume()
            assert await talk.heard() == b"meanwhile\n"
            assert await late.heard() == b"late\n"


async def test_a_slow_link_loses_and_reorders_nothing() -> None:
    async with linked() as link, talking(link) as talk:
        link.slow_down(0.02)
        for number in range(3):
            talk.say(b"slow %d\n" % number)
        link.slow_down(0.0)
        talk.say(b"fast\n")
        assert [await talk.heard() for _ in range(4)] == [b"slow 0\n", b"slow 1\n", b"slow 2\n", b"fast\n"]


async def test_a_cut_link_resets_connections_and_refuses_others_until_it_accepts_again() -> None:
    async with linked() as link, talking(link) as talk:
        link.refuse()
        link.cut()
        assert await talk.heard() == b""
        async with talking(link, greet=False) as refused:
            assert await refused.heard() == b""
        link.accept()
        async with talking(link):
            pass


async def test_a_server_that_is_told_of_the_end_still_answers() -> None:
    async with linked() as link, talking(link) as talk:
        link.half_close("upstream")
        assert await talk.heard() == b"bye\n"


async def test_a_client_that_is_told_of_the_end_hears_no_more() -> None:
    async with linked() as link, talking(link) as talk:
        link.half_close("client")
        talk.say(b"lost\n")
        assert await talk.heard() == b""


async def test_a_client_is_cut_off_where_no_server_is() -> None:
    link = await open_link("/nowhere/at-all.sock")
    try:
        async with talking(link, greet=False) as talk:
            assert await talk.heard() == b""
    finally:
        await link.close()


async def test_connections_that_ended_by_themselves_leave_nothing_behind() -> None:
    async with linked() as link:
        for _ in range(3):
            async with talking(link) as talk:
                talk.writer.write_eof()
                assert await talk.heard() == b"bye\n"
                assert await talk.heard() == b""

        async def only_one_is_open() -> bool:
            return link.open_count == 1

        async with talking(link):
            await until(only_one_is_open)


async def test_a_link_leads_new_connections_to_where_it_is_turned() -> None:
    link = await open_link("/nowhere/at-all.sock")
    try:
        async with linked() as other:
            link.upstream = (HOST, other.port)
            async with talking(link):
                pass
    finally:
        await link.close()
