"""The waits of orders, groups and payments, asked by a process other than the workers.

Gauges that workers set say nothing about workers that hang. The process that answers a scrape therefore looks
in Postgres, with a statement that reads a bounded number of rows, and asks the Redis that places whether it
is there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import asyncpg
from redis.exceptions import RedisError

from pintuan.base.stores.redis import ping
from pintuan.base.telemetry.metrics import show_store, show_waits
from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from groups.connections import Connections

HEALTH: Final = load_queries(__package__)
# Enough to see what waits longest, and a few milliseconds of Postgres' time.
ROWS_READ_MAX: Final = 1_000
# Scrapes that come sooner are shown the same.
WAITS_KEPT_S: Final = 2.0
# Less than Prometheus waits for its answer.
LOOK_TIMEOUT_S: Final = 1.5

STORE_AWAY: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    RedisError,
)


async def look(pool: asyncpg.Pool, redis: Connections) -> None:
    """Sets the gauges of waits and of the stores; a store that does not answer in time is shown as away."""
    await asyncio.gather(_show("postgres", _look_in_postgres(pool)), _show("redis", ping(redis)))


async def _look_in_postgres(pool: asyncpg.Pool) -> None:
    for row in await pool.fetch(HEALTH["read_waits"], ROWS_READ_MAX, timeout=LOOK_TIMEOUT_S):
        show_waits(**row)


async def _show(store: str, question: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            await question
    except STORE_AWAY:
        show_store(store, answers=False)
    else:
        show_store(store, answers=True)
