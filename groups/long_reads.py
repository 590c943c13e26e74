"""More time for transactions that read or change a whole lane, or all of them, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from sql import load_queries

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy

LANES = load_queries("groups.queries", "lanes")


async def allow_long_reads(connection: Connection, timeout_s: float) -> None:
    """Lets the statements of this transaction run for `timeout_s`, in whole seconds."""
    await connection.execute(LANES["allow_long_reads"], f"{timeout_s:.0f}s")
