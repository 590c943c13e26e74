"""Connections to the servers of a Redis Cluster, which move its hash slots between them while it is used.

The cluster's slots are remembered, and asked for again when an answer shows that they have changed. A moved
slot is followed. A slot on its way is waited for, as it answers nothing about several keys until all have
arrived (Redis Cluster specification, "MOVED redirection", "ASK redirection", "Multiple keys operations"). A
server that died holds its slots until the cluster has promoted another, and its lanes wait for that.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from groups.cluster_url import addresses_of, names_cluster, node_url
from groups.connections import (
    CALL_TIMEOUT_S,
    Away,
    Connections,
    Home,
    Lent,
    ServerConnections,
    ServerPool,
    answering,
)

# Redis recommends at most this many ("Redis Cluster specification", "Redis Cluster goals").
SERVERS_MAX: Final = 1_000
# Followed or waited for, within `CALL_TIMEOUT_S`.
TRIES_MAX: Final = 64
TRY_AGAIN_S: Final = 0.05
# However many answers show that the slots are known wrongly, they are read this often at most.
READ_AGAIN_S: Final = 0.25
# A caller that visits many lanes must not wait for each lane of a server that is gone.
AWAY_S: Final = 0.5
# A server that is gone must not use up the time of the next one that is asked about the slots.
READ_SLOTS_TIMEOUT_S: Final = 0.5
SERVERS_ASKED_MAX: Final = 8
# The numbers tried for a hash tag; the chance that none of them falls into a given slot is e^-60.
TAGS_TRIED_MAX: Final = 60 * REDIS_CLUSTER_HASH_SLOTS

T = TypeVar("T")

_log = logging.getLogger("groups.cluster")


class ClusterConnections:
    """Connections to the servers that hold slots, at most `CONNECTIONS_MAX` to each."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._seeds = [Home(host, port) for host, port in addresses_of(url)]
        self._slots: list[Home | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._pools: dict[Home, ServerPool] = {}
        # By the loop's clock; a server that could not be connected to is left alone for so long.
        self._away_until_s: dict[Home, float] = {}
        self._reading: asyncio.Task[None] | None = None
        self._read_at_s = float("-inf")

    async def run(self, key: str, ask: Callable[[Lent], Awaitable[T]]) -> T:
        """Has `ask` talk to the server that holds `key`, again where a slot moved: nothing was done there."""
        slot = key_slot(key.encode())
        with answering():
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    return await self._follow(slot, ask)
            except (RedisError, OSError):
                self._read_slots_soon()
                raise

    async def _follow(self, slot: int, ask: Callable[[Lent], Awaitable[T]]) -> T:
        asked: Home | None = None
        for _ in range(TRIES_MAX):
            home = asked or await self._home_of_slot(slot)
            try:
                async with self._lend(home, asking=asked is not None) as lent:
                    return await ask(lent)
            except MovedError as error:
                self._slots[slot] = _named_by(error, home)
                self._read_slots_soon()
                asked = None
            except AskError as error:
                asked = _named_by(error, home)
            except (TryAgainError, ClusterDownError):
                self._read_slots_soon()
                asked = None
                await asyncio.sleep(TRY_AGAIN_S * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        raise RedisError(f"slot {slot} does not come to rest")

    @asynccontextmanager
    async def lend(self, key: str) -> AsyncIterator[Lent]:
        """Lends a connection to where `key` is believed to be; raises Overloaded."""
        with answering():
            async with asyncio.timeout(CALL_TIMEOUT_S):
                home = await self._home_of_slot(key_slot(key.encode()))
        async with self.lend_at(home) as lent:
            yield lent

    @asynccontextmanager
    async def lend_at(self, home: Home) -> AsyncIterator[Lent]:
        """Lends a connection to one server; raises Overloaded."""
        with answering():
            try:
                async with self._lend(home) as lent:
                    yield lent
            except (RedisError, OSError):
                self._read_slots_soon()
                raise

    @asynccontextmanager
    async def _lend(self, home: Home, *, asking: bool = False) -> AsyncIterator[Lent]:
        """Lends a connection, unless none could be made a moment ago; raises what redis-py does."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._away_until_s.get(home, now_s):
            raise Away(f"{home.host}:{home.port} does not answer")
        try:
            async with self._pool_of(home).lend(asking=asking) as lent:
                self._away_until_s.pop(home, None)
                yield lent
        except Away:
            self._away_until_s[home] = asyncio.get_running_loop().time() + AWAY_S
            raise

    def home_of(self, key: str) -> Home | None:
        """Names the server `key` is believed to be on; None before the first call."""
        return self._slots[key_slot(key.encode())]

    async def homes(self) -> dict[Home, str]:
        """Asks the cluster anew; returns every server with slots, and a hash tag that falls into one of its
        slots.
        """
        with answering():
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await asyncio.shield(self._read_slots_soon(at_once=True))
        tags: dict[Home, str] = {}
        missing = {home for home in self._slots if home is not None}
        for number in range(TAGS_TRIED_MAX):
            if not missing:
                break
            home = self._slots[key_slot(str(number).encode())]
            if home in missing:
                missing.remove(home)
                tags[home] = str(number)
        return tags

    async def close(self) -> None:
        """Ends every connection."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        for pool in self._pools.values():
            await pool.close()

    def _pool_of(self, home: Home) -> ServerPool:
        pool = self._pools.get(home)
        if pool is None:
            pool = self._pools[home] = ServerPool(node_url(self._url, home.host, home.port))
        return pool

    async def _home_of_slot(self, slot: int) -> Home:
        """Returns who holds a slot; one that nobody is known to hold is waited for."""
        for _ in range(TRIES_MAX):
            home = self._slots[slot]
            if home is not None:
                return home
            await asyncio.shield(self._read_slots_soon(at_once=True))
            if self._slots[slot] is None:
                await asyncio.sleep(TRY_AGAIN_S)
        raise RedisError(f"no server holds slot {slot}")

    def _read_slots_soon(self, *, at_once: bool = False) -> asyncio.Task[None]:
        """Starts reading the slots, unless somebody is at it; otherwise than `at_once`, not too often."""
        if self._reading is None or self._reading.done():
            wait_s = self._read_at_s + READ_AGAIN_S - asyncio.get_running_loop().time()
            self._reading = asyncio.create_task(
                self._read_slots(0.0 if at_once else max(0.0, wait_s)), name="cluster slots"
            )
            self._reading.add_done_callback(_look_at_outcome)
        return self._reading

    async def _read_slots(self, wait_s: float) -> None:
        """Reads the slots from whichever server answers; raises RedisError when none does."""
        await asyncio.sleep(wait_s)
        known = list({home for home in self._slots if home is not None})
        random.shuffle(known)
        reasons: list[str] = []
        for home in [*known[:SERVERS_ASKED_MAX], *self._seeds[:SERVERS_ASKED_MAX]]:
            try:
                async with asyncio.timeout(READ_SLOTS_TIMEOUT_S), self._pool_of(home).lend() as lent:
                    slots = _slots_of(await lent.call("CLUSTER", "SLOTS"), home)
            except (RedisError, OSError) as error:
                reasons.append(f"{home.host}:{home.port}: {error or type(error).__name__}")
                continue
            self._slots = slots
            self._read_at_s = asyncio.get_running_loop().time()
            await self._close_unused()
            return
        self._read_at_s = asyncio.get_running_loop().time()
        raise RedisConnectionError(f"no server of the cluster answers: {'; '.join(reasons)}")

    async def _close_unused(self) -> None:
        """Lets go of servers without slots. A server that is receiving slots is connected to again."""
        used = {home for home in self._slots if home is not None}
        for home in [home for home in self._pools if home not in used]:
            self._away_until_s.pop(home, None)
            await self._pools.pop(home).close()


def connections_to(redis_url: str) -> Connections:
    """Returns connections to the server or the cluster a URL names; none is made before the first call."""
    return ClusterConnections(redis_url) if names_cluster(redis_url) else ServerConnections(redis_url)


def _slots_of(answer: list[Any], asked: Home) -> list[Home | None]:
    """Reads CLUSTER SLOTS: ranges {first, last, {host, port, …} of the primary, replicas …}."""
    slots: list[Home | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
    homes: set[Home] = set()
    for first, last, primary, *_ in answer:
        # A server that does not know its own name is reached by the one that was used to ask.
        host = (primary[0] or b"").decode()
        home = Home(asked.host if host in ("", "?") else host, primary[1])
        homes.add(home)
        slots[first : last + 1] = [home] * (last + 1 - first)
    if not homes:
        raise ResponseError("it knows of no server that holds slots")
    if len(homes) > SERVERS_MAX:
        raise ResponseError(f"it has {len(homes)} servers with slots; {SERVERS_MAX} are the most")
    return slots


def _named_by(error: AskError, answered: Home) -> Home:
    """The address in a redirection; without a host it is the server that answered."""
    return Home(str(error.host) or answered.host, int(error.port))


def _look_at_outcome(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("the slots of the cluster could not be read: %s", error)
