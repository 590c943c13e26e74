"""A closed-loop HTTP/1.1 client that costs little, so that the server and not the client is measured."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

READ_TIMEOUT_S = 30.0


def request_bytes(method: str, path: str, *, token: str, key: str, body: bytes) -> bytes:
    """Returns one request as it goes over the wire."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def drive(host: str, port: int, requests: Iterator[bytes], *, connections: int) -> Counter[int]:
    """Sends every request over `connections` keep-alive connections; returns each status' count."""
    statuses: Counter[int] = Counter()
    await asyncio.gather(*(_one_connection(host, port, requests, statuses) for _ in range(connections)))
    return statuses


async def _one_connection(host: str, port: int, requests: Iterator[bytes], statuses: Counter[int]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for request in requests:
            writer.write(request)
            async with asyncio.timeout(READ_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(_content_length(head))
            statuses[int(head[9:12])] += 1
    finally:
        writer.close()
        await writer.wait_closed()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0
