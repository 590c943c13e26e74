"""Finds out whether a Postgres session stays with its client, or a pooler hands it around.

Timeouts, the platform's fee and the simulated time are settings of a session. A pooler may give a session to
another client after each transaction (pgbouncer's `pool_mode = transaction`). Some of our sessions would then
lack their settings, and nothing would fail: new merchants would pay no fee.
"""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack
from typing import Final

import asyncpg

from pintuan.base.settings.settings import SettingsError
from sql import load_queries

SERVERS: Final = load_queries(__package__, "servers")
CALL_TIMEOUT_S: Final = 5.0
# Others may use the pooler meanwhile, and each round that meets them says nothing.
ROUNDS: Final = 3
HANDED_AROUND: Final = "a pooler hands sessions around (pgbouncer's pool_mode)"
POOLER_REMEDY: Final = (
    "let it be session, as running.md has it under 'Behind a pooler', or name Postgres itself"
)


async def require_own_sessions(database_url: str) -> None:
    """Raises SettingsError where a pooler hands sessions around, and otherwise as `hands_sessions_around`."""
    if await hands_sessions_around(database_url):
        raise SettingsError("PINTUAN_DATABASE_URL", f"{HANDED_AROUND}; {POOLER_REMEDY}")


async def hands_sessions_around(database_url: str) -> bool:
    """Says whether two connections meet in one session, or one connection finds itself in two.

    Raises OSError, asyncpg.PostgresError and asyncpg.InterfaceError.
    """
    async with AsyncExitStack() as stack:
        first, second = [await _connected(stack, database_url) for _ in range(2)]
        for _ in range(ROUNDS):
            mark = secrets.token_hex(8)
            # A statement is prepared and run within a transaction, or a pooler would part the two.
            async with first.transaction():
                await first.fetchval(SERVERS["mark_session"], mark)
            async with second.transaction():
                met = await second.fetchval(SERVERS["session_mark"])
                async with first.transaction():
                    own = await first.fetchval(SERVERS["session_mark"])
            if met == mark or own != mark:
                return True
    return False


async def _connected(stack: AsyncExitStack, database_url: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(
        database_url, timeout=CALL_TIMEOUT_S, command_timeout=CALL_TIMEOUT_S, statement_cache_size=0
    )
    stack.push_async_callback(connection.close, timeout=CALL_TIMEOUT_S)
    return connection
