"""Lends connections to the Redis that places, each with the run id of the server it leads to.

The run id is Redis' own and is read whenever a connection is made: a restored file or a promoted replica
carries lanes that would look right, and its run id tells them from those this server has placed into itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from groups.errors import Overloaded

CONNECTIONS_MAX: Final = 32
CALL_TIMEOUT_S: Final = 2.0
CONNECT_TIMEOUT_S: Final = 2.0

T = TypeVar("T")


class Lent:
    """A connection, for as long as it is lent. `run_id` is that of the server it leads to."""

    __slots__ = ("_connection", "run_id")

    def __init__(self, connection: AbstractConnection, run_id: str) -> None:
        self._connection = connection
        self.run_id = run_id

    async def call(self, *args: Any) -> Any:
        """One command; raises redis.exceptions.ResponseError where Redis answers with an error."""
        await self._connection.send_command(*args)
        return await self._connection.read_response()

    async def call_all(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Sends all commands at once; an answer that is an error stands in its place as a ResponseError."""
        await self._connection.send_packed_command(self._connection.pack_commands(commands))
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(await self._connection.read_response())
            except ResponseError as error:
                answers.append(error)
        return answers


class Connections(Protocol):
    """Connections to one Redis, or to the nodes of a cluster."""

    def lend(self, key: str) -> AbstractAsyncContextManager[Lent]:
        """Lends a connection to the server that holds `key`, for `CALL_TIMEOUT_S`.

        Raises Overloaded when Redis does not answer; then what was asked of it may or may not have been done.
        """

    async def run(self, key: str, ask: Callable[[Lent], Awaitable[T]]) -> T:
        """Has `ask` talk to the server that holds `key`; it is called again where the key has moved.

        Raises Overloaded like `lend`, and what `ask` raises.
        """

    def home_of(self, key: str) -> Hashable:
        """Names the server that `key` is believed to be on: keys of one home can share a lent connection."""

    async def close(self) -> None:
        """Ends every connection."""


class ServerConnections:
    """Connections to one server, at most `CONNECTIONS_MAX`."""

    def __init__(self, redis_url: str) -> None:
        self._run_ids: WeakKeyDictionary[AbstractConnection, str] = WeakKeyDictionary()
        self._pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=CONNECTIONS_MAX,
            timeout=CALL_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=CALL_TIMEOUT_S,
            redis_connect_func=self._on_connect,
        )

    async def _on_connect(self, connection: AbstractConnection) -> None:
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        info = cast("bytes", await connection.read_response()).decode()
        self._run_ids[connection] = next(
            line.removeprefix("run_id:") for line in info.splitlines() if line.startswith("run_id:")
        )

    @asynccontextmanager
    async def lend(self, key: str) -> AsyncIterator[Lent]:  # noqa: ARG002 - every key is on the one server.
        """Lends a connection; one that failed midway is never handed on half-read."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                connection = await self._pool.get_connection()
                try:
                    yield Lent(connection, self._run_ids[connection])
                except BaseException:
                    # An answer may still be on its way; the next user must not read it.
                    await connection.disconnect(nowait=True)
                    raise
                finally:
                    await self._pool.release(connection)
        except (RedisError, OSError, TimeoutError) as error:
            raise Overloaded(f"the placement store did not answer: {error}") from error

    async def run(self, key: str, ask: Callable[[Lent], Awaitable[T]]) -> T:
        """Has `ask` talk to the server, once."""
        async with self.lend(key) as lent:
            return await ask(lent)

    def home_of(self, key: str) -> Hashable:  # noqa: ARG002 - as in `lend`.
        """The same for every key."""
        return None

    async def close(self) -> None:
        await self._pool.disconnect()


def connections_to(redis_url: str) -> Connections:
    """Returns connections to what a URL names; none is made before the first call."""
    return ServerConnections(redis_url)
