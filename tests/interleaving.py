"""Holds one side of a race still until the other side is known to wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import asyncpg
import msgspec
from redis.asyncio import Redis

from groups.engine import REQUEST_TTL_MS, GroupEngine, open_engine
from groups.errors import TryAgain
from groups.keys import Lane, LaneKeys
from groups.lane_store import Confirmations, LaneStore
from groups.listeners import Listeners
from groups.placement import Placement, Recorded, Seat, item_of, seat_of
from groups.rebuild import Rebuilder
from tests.waiting import until

COMMAND_TIMEOUT_S = 10.0
RETRY_S = 0.005
CALLS_MAX = 100
POOL_SIZE_MAX = 5
T = TypeVar("T")

LOCK_GROUP = "SELECT FROM groups WHERE id = $1 FOR UPDATE"
LOCK_ORDER = "SELECT FROM orders WHERE id = $1 FOR UPDATE"
LOCK_LANE = "SELECT FROM lanes WHERE deal_id = $1 AND lane_no = $2 FOR UPDATE"


class Holder:
    """An open transaction whose locks others wait for."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self._transaction = connection.transaction()

    async def begin(self, sql: str, *arguments: Any) -> None:
        await self._transaction.start()
        await self.connection.execute(sql, *arguments)

    async def commit(self) -> None:
        """Lets go, for good with what the transaction wrote."""
        await self._transaction.commit()

    async def waiters(self, count: int = 1) -> None:
        """Returns once `count` statements wait for a lock in this database."""

        async def waiting() -> bool:
            # Within a transaction the activity would stay as it was first seen.
            await self.connection.execute("SELECT pg_stat_clear_snapshot()")
            seen = await self.connection.fetchval(
                "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                " WHERE NOT l.granted AND a.datname = current_database()"
            )
            return bool(seen >= count)

        await until(waiting)


@asynccontextmanager
async def holding(database_url: str, sql: str, *arguments: Any) -> AsyncIterator[Holder]:
    """Runs `sql` in a transaction of its own, which ends with the block unless it was committed before."""
    connection = await asyncpg.connect(database_url, command_timeout=COMMAND_TIMEOUT_S)
    try:
        holder = Holder(connection)
        await holder.begin(sql, *arguments)
        yield holder
    finally:
        await connection.close()


@asynccontextmanager
async def processes(database_url: str, redis_url: str, count: int) -> AsyncIterator[list[GroupEngine]]:
    """Engines as that many processes would have them: nothing in memory is shared."""
    async with AsyncExitStack() as stack:
        engines = []
        for _ in range(count):
            pool = await stack.enter_async_context(
                asyncpg.create_pool(
                    database_url, min_size=1, max_size=POOL_SIZE_MAX, command_timeout=COMMAND_TIMEOUT_S
                )
            )
            engines.append(await stack.enter_async_context(open_engine(pool, redis_url, rates=None)))
        yield engines


class TroubledPool:
    """A pool in which one statement fails some times: after its commit, or without having been run at all."""

    def __init__(
        self, pool: asyncpg.Pool, statement: str, error: Exception, *, times: int = 1, committed: bool
    ) -> None:
        self._pool = pool
        self._statement = statement
        self._error = error
        self._committed = committed
        self.left = times

    def engine(
        self, redis_url: str, *, listeners: Listeners | None = None
    ) -> AbstractAsyncContextManager[GroupEngine]:
        """An engine on this pool, which is no `asyncpg.Pool` by type, for it is only half of one."""
        return open_engine(cast("asyncpg.Pool", self), redis_url, rates=None, listeners=listeners)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def fetch(self, query: str, *arguments: Any, **options: Any) -> Any:
        if query != self._statement or not self.left:
            return await self._pool.fetch(query, *arguments, **options)
        self.left -= 1
        if self._committed:
            await self._pool.fetch(query, *arguments, **options)
        raise self._error


class BackgroundPool(TroubledPool):
    """A pool whose statement outlives the caller that gave up on it, and commits when it can."""

    def __init__(self, pool: asyncpg.Pool, statement: str) -> None:
        super().__init__(pool, statement, TimeoutError(), committed=False)
        self.late: asyncio.Task[Any] | None = None

    async def fetch(self, query: str, *arguments: Any, **options: Any) -> Any:
        if query == self._statement and self.left:
            self.late = asyncio.create_task(self._pool.fetch(query, *arguments))
        return await super().fetch(query, *arguments, **options)


@dataclass
class LaneMemory:
    """What Redis remembers of a lane, to be read and to be falsified."""

    client: Any
    """A `Redis`. Its annotations know neither that its answers are awaitable nor that values may be bytes."""
    keys: LaneKeys

    @classmethod
    def of(cls, client: Redis, deal_id: str, lane_no: int = 0) -> LaneMemory:
        return cls(client, LaneKeys.of(Lane(deal_id, lane_no)))

    async def seats(self) -> dict[str, list[Any]]:
        """Order id -> {group id, seat, buyer, quantity, request id}."""
        return self._decoded(await self.client.hgetall(self.keys.seats))

    async def groups(self) -> dict[str, list[Any]]:
        """Group id -> the record that `lane.lua` describes."""
        return self._decoded(await self.client.hgetall(self.keys.groups))

    async def units_left(self) -> int:
        return int(await self.client.hget(self.keys.meta, "units_left"))

    async def write_units_left(self, units: int) -> None:
        await self.client.hset(self.keys.meta, "units_left", units)

    async def pending(self) -> list[str]:
        return [member.decode() for member in await self.client.zrange(self.keys.pending, 0, -1)]

    async def age_pending(self) -> None:
        """Makes every seat that was not confirmed as old as an orphan."""
        for member in await self.client.zrange(self.keys.pending, 0, -1):
            await self.client.zadd(self.keys.pending, {member: 0})

    async def write_group(self, group_id: str, **changes: Any) -> None:
        """Changes fields of a group by their names in `lane.lua`."""
        names = ("status", "deadline", "capacity", "taken", "next_seat", "freed", "share_code", "leader")
        record = (await self.groups())[group_id]
        for name, value in changes.items():
            record[names.index(name)] = value
        await self.client.hset(self.keys.groups, group_id, msgspec.msgpack.encode(record))
        if record[0] == "open" and record[3] < record[2]:
            await self.client.zadd(self.keys.open, {group_id: record[3]})

    @staticmethod
    def _decoded(raw: dict[bytes, bytes]) -> dict[str, list[Any]]:
        return {name.decode(): msgspec.msgpack.decode(value) for name, value in raw.items()}


@asynccontextmanager
async def lane_store(redis_url: str) -> AsyncIterator[LaneStore]:
    """Script calls without an engine around them, as a process makes them that does nothing else after."""
    store = LaneStore(redis_url, rates=None, request_ttl_ms=REQUEST_TTL_MS)
    try:
        yield store
    finally:
        await store.close()


async def warm(pool: asyncpg.Pool, redis_url: str, deal_id: str, lane_no: int = 0) -> int:
    """Makes a lane warm before anybody joins; returns its epoch."""
    async with lane_store(redis_url) as store:
        return await Rebuilder(pool, store, Listeners()).warm(Lane(deal_id, lane_no))


async def place_and_die(pool: asyncpg.Pool, redis_url: str, placement: Placement, lane_no: int = 0) -> Seat:
    """Seats a buyer as a process does that dies before it records the order."""
    epoch = await warm(pool, redis_url, placement.deal_id, lane_no)
    async with lane_store(redis_url) as store:
        lane = Lane(placement.deal_id, lane_no)
        (result,) = await store.place(lane, epoch, [item_of(placement)], Confirmations())
    return seat_of(placement, lane_no, result)


async def persist(engine: GroupEngine, placement: Placement) -> Recorded:
    """Repeats a call with its key for as long as the engine says that nothing was decided."""
    for _ in range(CALLS_MAX):
        try:
            return await engine.place(placement)
        except TryAgain:
            await asyncio.sleep(RETRY_S)
    raise AssertionError(f"nothing was decided in {CALLS_MAX} calls")


async def outcomes_of(calls: Iterable[Awaitable[T]]) -> list[T | BaseException]:
    """Runs calls at once; what they raise is an outcome too."""
    return await asyncio.gather(*calls, return_exceptions=True)
