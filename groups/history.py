"""Notices that Postgres went back to an earlier state, and makes Redis forget what it knows of the later one.

A restored backup has epochs that Redis, which kept running, may believe in, and lacks orders that Redis
remembers as recorded. So Redis also keeps how far Postgres had come: the name of its history, and a position
in it. Where the name is another, or the position is behind, Redis knows too much.

Every server of a cluster keeps its own: what one of them lost says nothing of what the others know.
"""

from __future__ import annotations

import functools
import logging

import asyncpg

from groups.errors import Overloaded
from groups.keys import ALL_KEYS, HISTORY
from groups.lane_store import LaneStore, Server
from sql import load_queries
from sql.retry import retry_serialization

HISTORIES = load_queries("history")
LANES = load_queries("lanes")
SCAN_COUNT = 1_000
# At a thousand keys each, far more than a Redis holds.
SCANS_MAX = 1_000_000
RAISE_STATEMENT_TIMEOUT = "25s"
RAISE_TIMEOUT_S = 30.0

_log = logging.getLogger("groups.history")


async def follow_history(pool: asyncpg.Pool, store: LaneStore) -> bool:
    """Tells Redis how far Postgres has come; returns whether it had gone back, and Redis had to forget.

    A server of a cluster that does not answer is asked the next time. Raises Overloaded where none answers,
    asyncpg.PostgresError and OSError.
    """
    # Redis first: what it says then was read from Postgres before our own look, so it cannot be ahead of it.
    remembered = await _remembered(store)
    [found] = await pool.fetch(HISTORIES["postgres_position"])
    gone_back = [
        memory
        for memory in remembered.values()
        if memory is not None and (memory[0] != found["name"] or memory[1] > found["position"])
    ]
    if gone_back:
        _log.warning(
            "Postgres is at %s of %s and Redis remembers %s of %s: every lane is rebuilt",
            found["position"],
            found["name"],
            gone_back[0][1],
            gone_back[0][0],
        )
        await forget_lanes(pool, store, list(remembered))
    for server in remembered:
        await store.execute("HSET", server.history_key, "name", found["name"], "position", found["position"])
    return bool(gone_back)


async def _remembered(store: LaneStore) -> dict[Server, tuple[str, int] | None]:
    """Returns what each server that answers knows of Postgres: name and position, or nothing."""
    remembered: dict[Server, tuple[str, int] | None] = {}
    silent: list[Overloaded] = []
    for server in await store.servers():
        try:
            name, position = await store.execute("HMGET", server.history_key, "name", "position")
        except Overloaded as error:
            _log.warning("%s:%d is not told how far Postgres has come: %s", *server.home, error)
            silent.append(error)
            continue
        remembered[server] = None if name is None else (name.decode(), int(position))
    if silent and not remembered:
        raise silent[0]
    return remembered


async def forget_lanes(pool: asyncpg.Pool, store: LaneStore, servers: list[Server]) -> None:
    """Makes Redis forget every lane and request; what is next asked for is rebuilt from Postgres.

    Raises as `follow_history` does. The next look finds the same history then, and tries again.
    """
    # A key that moves to a server that was scanned already is found there by the second round.
    for server in servers if len(servers) == 1 else servers * 2:
        await _forget_keys(store, server)
    # Last, because until then a process may have believed in a lane of which half was gone.
    await retry_serialization(functools.partial(_raise_epochs, pool))


async def _forget_keys(store: LaneStore, server: Server) -> None:
    cursor = b"0"
    for _ in range(SCANS_MAX):
        cursor, keys = await store.scan(server, cursor, ALL_KEYS, SCAN_COUNT)
        await store.unlink(server, [key for key in keys if not key.endswith(f":{HISTORY}".encode())])
        if cursor == b"0":
            break


async def _raise_epochs(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(LANES["allow_long_reads"], RAISE_STATEMENT_TIMEOUT)
        await connection.execute(HISTORIES["raise_all_epochs"], timeout=RAISE_TIMEOUT_S)
