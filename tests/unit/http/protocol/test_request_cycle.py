"""A client of HTTP/1.0 gets its answers without chunks, which it does not know."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.http.protocol.test_connection import Echo, connected

pytestmark = pytest.mark.anyio

OLD = b" / HTTP/1.0\r\nHost: here\r\nConnection: keep-alive\r\n\r\n"


class Pieces(Echo):
    """Answers with pieces whose sum is not told before."""

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"one,", b"", b"two"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b".", "more_body": False})


async def test_a_body_of_unknown_length_ends_with_the_connection() -> None:
    async with connected(Pieces()) as connect:
        reader, writer = await connect()
        writer.write(b"GET" + OLD)

        head, _, body = (await reader.read()).partition(b"\r\n\r\n")

    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    assert body == b"one,two."


async def test_head_has_no_body_all_the_same() -> None:
    async with connected(Pieces()) as connect:
        reader, writer = await connect()
        writer.write(b"HEAD" + OLD)

        assert (await reader.read()).endswith(b"\r\n\r\n")


async def test_a_body_whose_length_is_told_is_sent_with_it() -> None:
    async with connected(Echo()) as connect:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.0\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc")

        head, _, body = (await reader.read()).partition(b"\r\n\r\n")

    assert b"content-length: 3" in head.lower()
    assert body == b"abc"


async def test_a_newer_client_gets_chunks() -> None:
    async with connected(Pieces()) as connect:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")

        _, _, body = (await reader.read()).partition(b"\r\n\r\n")

    assert body == b"4\r\none,\r\n3\r\ntwo\r\n1\r\n.\r\n0\r\n\r\n"
