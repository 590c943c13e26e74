"""The connections of a running marketplace: read in one way, and only so many of one address."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from tests.marketplace import Site

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CONNECTIONS_MAX = 20
ANSWER_S_MAX = 10.0
SMUGGLED = b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n"
UPGRADE = (
    b"%b /nowhere HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: foo\r\nContent-Length: %d\r\n\r\n"
)


async def status(reader: asyncio.StreamReader) -> int:
    """The status of the next answer, whose body is read as well."""
    async with asyncio.timeout(ANSWER_S_MAX):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        await reader.readexactly(length)
    return int(head.split(" ")[1])


async def test_a_body_is_no_request_an_alias_reaches_nothing_and_an_address_has_its_share(site: Site) -> None:
    up = await site.up("--workers", "0", PINTUAN_CONNECTIONS_PER_ADDRESS=str(CONNECTIONS_MAX))
    where = urlsplit(up.url)
    opened = []
    try:
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        opened.append(writer)
        # A call that has no use for a body is answered before it comes.
        writer.write(UPGRADE % (b"GET", len(SMUGGLED)))
        assert await status(reader) == 404
        writer.write(SMUGGLED)
        writer.write(UPGRADE % (b"POST", len(SMUGGLED)) + SMUGGLED)
        assert await status(reader) == 404
        for path in (b"/metrics", b"/health//live", b"/metrics"):
            writer.write(b"GET %b HTTP/1.1\r\nHost: here\r\n\r\n" % path)
        assert [await status(reader) for _ in range(3)] == [200, 404, 200], "and none for the body"

        while len(opened) <= CONNECTIONS_MAX:
            reader, writer = await asyncio.open_connection(where.hostname, where.port)
            opened.append(writer)
        refused = await asyncio.wait_for(reader.read(), ANSWER_S_MAX)
        assert refused.startswith(b"HTTP/1.1 503 ")
    finally:
        for writer in opened:
            writer.close()
    assert await up.terminate() == 0
