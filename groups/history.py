"""Notices that Postgres went back to an earlier state, and makes Redis forget what it knows of the later one.

A restored backup has epochs that Redis, which kept running, may believe in, and lacks orders that Redis
remembers as recorded. So Redis also keeps how far Postgres had come: the name of its history, and a position
in it. Where the name is another, or the position is behind, Redis knows too much.
"""

from __future__ import annotations

import functools
import logging
from typing import Any

import asyncpg

from groups.keys import ALL_KEYS, HISTORY
from groups.lane_store import LaneStore
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

    Raises Overloaded where Redis does not answer, asyncpg.PostgresError and OSError.
    """
    # Redis first: what it says then was read from Postgres before our own look, so it cannot be ahead of it.
    name, position = await store.execute("HMGET", HISTORY, "name", "position")
    [found] = await pool.fetch(HISTORIES["postgres_position"])
    gone_back = name is not None and (name.decode() != found["name"] or int(position) > found["position"])
    if gone_back:
        _log.warning(
            "Postgres is at %s of %s and Redis remembers %s of %s: every lane is rebuilt",
            found["position"],
            found["name"],
            position.decode(),
            name.decode(),
        )
        await forget_lanes(pool, store)
    await store.execute("HSET", HISTORY, "name", found["name"], "position", found["position"])
    return gone_back


async def forget_lanes(pool: asyncpg.Pool, store: LaneStore) -> None:
    """Makes Redis forget every lane and request; what is next asked for is rebuilt from Postgres.

    Raises as `follow_history` does. The next look finds the same history then, and tries again.
    """
    cursor: Any = b"0"
    for _ in range(SCANS_MAX):
        cursor, keys = await store.execute("SCAN", cursor, "MATCH", ALL_KEYS, "COUNT", SCAN_COUNT)
        forgotten = [key for key in keys if key != HISTORY.encode()]
        if forgotten:
            await store.execute("UNLINK", *forgotten)
        if cursor == b"0":
            break
    # Last, because until then a process may have believed in a lane of which half was gone.
    await retry_serialization(functools.partial(_raise_epochs, pool))


async def _raise_epochs(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(LANES["allow_long_reads"], RAISE_STATEMENT_TIMEOUT)
        await connection.execute(HISTORIES["raise_all_epochs"], timeout=RAISE_TIMEOUT_S)
