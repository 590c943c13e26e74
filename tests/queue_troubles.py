"""What can become of a Redis that is only a hint, made to happen to a real server, and mended again."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from pintuan.base.stores.embedded import EmbeddedRedis

CALL_TIMEOUT_S = 5.0
PASSWORD = "another"
# Room beyond what is used, and more than that to be written: the rest has to go.
ROOM_BYTES = 50_000
FILLER_BYTES = 1_000
FILLERS = 200


@dataclass(frozen=True, slots=True)
class Trouble:
    """How to break a server, and how to mend it; whether it answers reads meanwhile, and takes writes."""

    name: str
    begin: Callable[[EmbeddedRedis], Awaitable[None]]
    end: Callable[[EmbeddedRedis], Awaitable[None]]
    answers: bool = False
    takes: bool = False

    def __str__(self) -> str:
        return self.name


async def call(server: EmbeddedRedis, *commands: tuple[Any, ...], password: str | None = None) -> None:
    """Gives commands to the server over one connection."""
    client: Any
    async with Redis.from_url(server.url, socket_timeout=CALL_TIMEOUT_S, password=password) as client:
        for command in commands:
            await client.execute_command(*command)


async def refuse(server: EmbeddedRedis) -> None:
    await server.kill()


async def answer_again(server: EmbeddedRedis) -> None:
    await server.start()
    await server.wait_ready()


async def hang(server: EmbeddedRedis) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)


async def go_on(server: EmbeddedRedis) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGCONT)


async def fill(server: EmbeddedRedis) -> None:
    await call(server, ("CONFIG", "SET", "maxmemory", 1))


async def make_room(server: EmbeddedRedis) -> None:
    await call(server, ("CONFIG", "SET", "maxmemory", 0))


async def change_password(server: EmbeddedRedis) -> None:
    # Connections that are open keep their right, so they are closed.
    await call(server, ("CONFIG", "SET", "requirepass", PASSWORD), ("CLIENT", "KILL", "TYPE", "normal"))


async def drop_password(server: EmbeddedRedis) -> None:
    await call(server, ("CONFIG", "SET", "requirepass", ""), password=PASSWORD)


async def follow_nobody(server: EmbeddedRedis) -> None:
    # A replica of a server that is not there answers reads and refuses writes.
    await call(server, ("REPLICAOF", "127.0.0.1", "1"))


async def lead_again(server: EmbeddedRedis) -> None:
    await call(server, ("REPLICAOF", "NO", "ONE"))


async def evict(server: EmbeddedRedis) -> None:
    async with Redis.from_url(server.url, socket_timeout=CALL_TIMEOUT_S) as client:
        used_bytes = (await client.info("memory"))["used_memory"]
        await client.config_set("maxmemory-policy", "allkeys-random")
        await client.config_set("maxmemory", used_bytes + ROOM_BYTES)
        for number in range(FILLERS):
            await client.set(f"filler:{number}", "x" * FILLER_BYTES)
        assert (await client.info("stats"))["evicted_keys"] > 0


async def keep_again(server: EmbeddedRedis) -> None:
    await call(server, ("CONFIG", "SET", "maxmemory", 0), ("CONFIG", "SET", "maxmemory-policy", "noeviction"))


TROUBLES = (
    Trouble("refused", refuse, answer_again),
    Trouble("hung", hang, go_on),
    Trouble("full", fill, make_room, answers=True),
    Trouble("wrong password", change_password, drop_password),
    Trouble("read-only", follow_nobody, lead_again, answers=True),
    Trouble("evicting", evict, keep_again, answers=True, takes=True),
)
