"""Connections to Redis, made of a URL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop
from redis.exceptions import ConnectionError as RedisConnectionError

from groups.redis_url import pool_to

HOST = "127.0.0.1"
WAIT_S = 10.0


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says yes to whatever is asked, until the client is gone."""
    with suppress(ConnectionError):
        while await reader.read(1024):
            writer.write(b"+OK\r\n" * 4)
    writer.close()


async def send_on_a_lost_connection(url: str) -> None:
    pool = pool_to(url, socket_timeout=WAIT_S)
    connection = pool.make_connection()  # type: ignore[no-untyped-call] # redis-py leaves it so.
    await connection.connect()
    # As at a reset: the transport has ended, and nobody was told yet.
    connection._writer.transport.abort()
    try:
        await connection.send_command("PING")
    finally:
        await connection.disconnect(nowait=True)


async def on_tcp() -> None:
    server = await asyncio.start_server(hold, HOST, 0)
    try:
        await send_on_a_lost_connection(f"redis://{HOST}:{server.sockets[0].getsockname()[1]}/0")
    finally:
        server.close()


async def on_a_socket(path: Path) -> None:
    server = await asyncio.start_unix_server(hold, path)
    try:
        await send_on_a_lost_connection(f"unix://{path}?db=0")
    finally:
        server.close()


@pytest.mark.parametrize("by", ["tcp", "socket"])
@pytest.mark.parametrize("loop", [uvloop.new_event_loop, None], ids=["uvloop", "asyncio"])
def test_a_connection_that_was_just_lost_is_an_error_of_redis_py_on_every_loop(
    by: str, loop: Callable[[], asyncio.AbstractEventLoop] | None, own_directory: Path
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner, pytest.raises(RedisConnectionError):
        runner.run(on_tcp() if by == "tcp" else on_a_socket(own_directory / "redis.sock"))
