"""Lends connections to the Redis that places, each with the run id of the server it leads to.

The run id is Redis' own and is read whenever a connection is made. Lanes of a restored file or a promoted
replica would look right; the run id tells them from lanes this server has placed into itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

from redis.asyncio.cluster import ClusterParser
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from groups.errors import Overloaded
from groups.redis_url import pool_to

# To one server.
CONNECTIONS_MAX: Final = 32
CALL_TIMEOUT_S: Final = 2.0
# Less, so that a server that is gone is told from one that is slow.
CONNECT_TIMEOUT_S: Final = 1.5

T = TypeVar("T")


class Home(NamedTuple):
    """Names a server; a single Redis, wherever its URL says it is, has no host."""

    host: str
    port: int


SINGLE: Final = Home("", 0)


class Away(RedisConnectionError):
    """No connection to a server could be had, so nothing was asked of it."""


class Lent:
    """A connection, for as long as it is lent. `run_id` is that of the server it leads to.

    With `asking`, the server is asked for keys that are on their way to it (Redis Cluster specification,
    "ASK redirection").
    """

    __slots__ = ("_asking", "_connection", "run_id")

    def __init__(self, connection: AbstractConnection, run_id: str, *, asking: bool = False) -> None:
        self._connection = connection
        self.run_id = run_id
        self._asking = asking

    async def call(self, *args: Any) -> Any:
        """Runs one command; raises redis.exceptions.ResponseError if Redis answers with an error."""
        if self._asking:
            [answer] = await self.call_all([args])
            if isinstance(answer, ResponseError):
                raise answer
            return answer
        await self._connection.send_command(*args)
        return await self._connection.read_response()

    async def call_all(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Sends all commands at once; an answer that is an error stands in its place as a ResponseError."""
        if self._asking:
            commands = [sent for command in commands for sent in (("ASKING",), command)]
        await self._connection.send_packed_command(self._connection.pack_commands(commands))
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(await self._connection.read_response())
            except ResponseError as error:
                answers.append(error)
        return answers[1::2] if self._asking else answers


class ServerPool:
    """Connections to one server, at most `CONNECTIONS_MAX`; its errors are those of redis-py."""

    def __init__(self, url: str) -> None:
        self._run_ids: WeakKeyDictionary[AbstractConnection, str] = WeakKeyDictionary()
        self._closed = False
        self._pool = pool_to(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=CALL_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=CALL_TIMEOUT_S,
            redis_connect_func=self._on_connect,
            # Knows the errors of a cluster beside all others.
            parser_class=ClusterParser,
        )

    async def _on_connect(self, connection: AbstractConnection) -> None:
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        info = cast("bytes", await connection.read_response()).decode()
        self._run_ids[connection] = next(
            line.removeprefix("run_id:") for line in info.splitlines() if line.startswith("run_id:")
        )

    @asynccontextmanager
    async def lend(self, *, asking: bool = False) -> AsyncIterator[Lent]:
        """Lends a connection for `CALL_TIMEOUT_S`; one that failed midway is never handed on half-read."""
        async with asyncio.timeout(CALL_TIMEOUT_S):
            connection = await self._connected()
            try:
                yield Lent(connection, self._run_ids[connection], asking=asking)
            except ResponseError:
                # An answer like any other, read to its end.
                raise
            except BaseException:
                # An answer may still be on its way; the next user must not read it.
                await connection.disconnect(nowait=True)
                raise
            finally:
                await self._pool.release(connection)
                if self._closed:
                    await connection.disconnect(nowait=True)

    async def _connected(self) -> AbstractConnection:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                connection: AbstractConnection = await self._pool.get_connection()
                return connection
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            raise Away(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Ends every connection; those that are lent, when they come back."""
        self._closed = True
        await self._pool.disconnect(inuse_connections=False)


class Connections(Protocol):
    """Connections to one Redis, or to the servers of a cluster."""

    async def run(self, key: str, ask: Callable[[Lent], Awaitable[T]]) -> T:
        """Has `ask` talk to the server that holds `key`, and calls it again where the key has moved.

        Raises Overloaded if Redis gives no proper answer within `CALL_TIMEOUT_S`; the command may then have
        been carried out or not. Other errors are `ask`'s own.
        """

    def lend(self, key: str) -> AbstractAsyncContextManager[Lent]:
        """Lends a connection to the server that holds `key`, for `CALL_TIMEOUT_S`.

        Raises Overloaded as `run` does. Where the key has moved, an answer says so, and `run` can be used.
        """

    def home_of(self, key: str) -> Home | None:
        """Names the server `key` is believed to be on; None when nobody knows yet.

        Keys of one home can share a connection lent for one of them.
        """

    async def homes(self) -> dict[Home, str]:
        """Names every server that holds keys, with a hash tag whose keys are there; raises Overloaded."""

    def lend_at(self, home: Home) -> AbstractAsyncContextManager[Lent]:
        """Lends a connection to one of `homes`, as `lend` does."""

    async def close(self) -> None:
        """Ends every connection."""


class ServerConnections:
    """Connections to a single Redis, which holds every key."""

    def __init__(self, redis_url: str) -> None:
        self._pool = ServerPool(redis_url)

    async def run(self, key: str, ask: Callable[[Lent], Awaitable[T]]) -> T:
        """Has `ask` talk to the server, once."""
        async with self.lend(key) as lent:
            return await ask(lent)

    @asynccontextmanager
    async def lend(self, key: str) -> AsyncIterator[Lent]:  # noqa: ARG002 - every key is on the one server.
        """Lends a connection; raises Overloaded."""
        with answering():
            async with self._pool.lend() as lent:
                yield lent

    def home_of(self, key: str) -> Home | None:  # noqa: ARG002 - as in `lend`.
        """The same for every key."""
        return SINGLE

    async def homes(self) -> dict[Home, str]:
        """The one server."""
        return {SINGLE: ""}

    def lend_at(self, home: Home) -> AbstractAsyncContextManager[Lent]:  # noqa: ARG002 - there is one.
        """Lends a connection; raises Overloaded."""
        return self.lend("")

    async def close(self) -> None:
        """Ends every connection."""
        await self._pool.close()


@contextmanager
def answering() -> Iterator[None]:
    """Raises Overloaded for any error that keeps Redis from answering."""
    try:
        yield
    except (RedisError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise Overloaded(f"the placement store did not answer: {reason}") from error
