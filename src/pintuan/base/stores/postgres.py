"""Connections to Postgres, with a deadline on everything that could wait."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg
import msgspec
import structlog
from asyncpg.pool import Pool

from pintuan.base.settings.settings import SettingsError
from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from asyncpg.connection import LoggedQuery
    from asyncpg.pool import PoolAcquireContext

    from pintuan.base.settings.settings import Settings

# The client gives up after the server has, so that a statement's fate is known whenever it can be.
STATEMENT_TIMEOUT_MS: Final = 8_000
COMMAND_TIMEOUT_S: Final = 10.0
LOCK_TIMEOUT_MS: Final = 1_000
IDLE_IN_TRANSACTION_TIMEOUT_MS: Final = 15_000
CONNECT_TIMEOUT_S: Final = 5.0
ACQUIRE_TIMEOUT_S: Final = 3.0
CLOSE_TIMEOUT_S: Final = 10.0
IDLE_CONNECTION_LIFETIME_S: Final = 300.0
QUERIES_PER_CONNECTION_MAX: Final = 1_000_000
POOL_SIZE_MIN: Final = 2
OPEN_RETRY_S: Final = 0.1

Prepare: TypeAlias = "Callable[[asyncpg.Connection], Coroutine[Any, Any, None]]"
OnStatement: TypeAlias = "Callable[[LoggedQuery], None]"

SERVERS: Final = load_queries(__package__, "servers")

_JSONB_VERSION: Final = b"\x01"
_logger = structlog.get_logger("pintuan.base.stores.postgres")


class PooledConnection(asyncpg.Connection):
    """A connection that goes back to its pool without a round trip.

    asyncpg would send RESET ALL and its like after every use. Nothing here changes a session's state:
    settings change with SET LOCAL, locks are transaction locks, and listeners have their own connection.
    Transactions left open are still rolled back.
    """

    def get_reset_query(self) -> str:
        """Returns no statement; see the class."""
        return ""


class BoundedPool(Pool):
    """A pool that waits at most `ACQUIRE_TIMEOUT_S` for a free connection; asyncpg's waits for ever."""

    def acquire(self, *, timeout: float | None = None) -> PoolAcquireContext:
        """Returns a context that lends a connection; raises TimeoutError when none gets free in time."""
        return super().acquire(timeout=ACQUIRE_TIMEOUT_S if timeout is None else timeout)


@asynccontextmanager
async def open_pool(
    settings: Settings,
    *,
    size_max: int,
    application_name: str,
    size_min: int = POOL_SIZE_MIN,
    wait_s: float = 0.0,
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
    on_statement: OnStatement | None = None,
) -> AsyncIterator[asyncpg.Pool]:
    """Opens a pool for the life of the block; waits up to `wait_s` for a Postgres that is just starting.

    Every statement runs under the server's statement and lock timeouts and the client's slightly longer one.
    `app_now()` is shifted by the settings' simulated offset. jsonb is read and written as plain values.
    `on_statement` is told of each statement that ended.

    Raises:
        SettingsError: no database URL is set.
        OSError, asyncpg.PostgresError: Postgres cannot be reached or refuses us.
    """
    if settings.database_url is None:
        raise SettingsError("PINTUAN_DATABASE_URL", "not set; `pintuan up` sets it for the embedded Postgres")
    session = session_settings(settings, statement_timeout_ms=statement_timeout_ms)
    prepare = partial(_prepare_connection, session=session, on_statement=on_statement)
    make_pool = partial(_make_pool, settings, (size_min, size_max), application_name, prepare)
    pool = await _opened(make_pool, wait_s)
    try:
        yield pool
    finally:
        await _close(pool)


async def _opened(make_pool: Callable[[], BoundedPool], wait_s: float) -> BoundedPool:
    clock = asyncio.get_running_loop().time
    give_up_at_s = clock() + wait_s
    while True:
        # A new one each time, because asyncpg closes a pool that failed to open.
        pool = make_pool()
        try:
            await pool
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError):
            if clock() >= give_up_at_s:
                raise
            await asyncio.sleep(OPEN_RETRY_S)
        else:
            return pool


def _make_pool(
    settings: Settings, sizes: tuple[int, int], application_name: str, prepare: Prepare
) -> BoundedPool:
    return BoundedPool(
        settings.database_url,
        min_size=min(sizes),
        max_size=sizes[1],
        max_queries=QUERIES_PER_CONNECTION_MAX,
        max_inactive_connection_lifetime=IDLE_CONNECTION_LIFETIME_S,
        init=prepare,
        loop=None,
        connection_class=PooledConnection,
        record_class=asyncpg.Record,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        # The parameters that poolers pass on. They refuse all others, or are told to drop them without a
        # word.
        server_settings={"application_name": application_name, "timezone": "UTC"},
    )


def session_settings(
    settings: Settings, *, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS
) -> dict[str, str]:
    """Returns what is set in each new session; timeouts in milliseconds, as Postgres reads them."""
    return {
        "statement_timeout": str(statement_timeout_ms),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
        "pintuan.sim_offset_ms": str(settings.sim_offset_ms),
        "pintuan.platform_fee_bps": str(settings.platform_fee_bps),
    }


async def _prepare_connection(
    connection: asyncpg.Connection, *, session: dict[str, str], on_statement: OnStatement | None
) -> None:
    await connection.fetch(SERVERS["set_session"], list(session), list(session.values()))
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )
    if on_statement is not None:
        connection.add_query_logger(on_statement)


def _encode_jsonb(value: object) -> bytes:
    return _JSONB_VERSION + msgspec.json.encode(value)


def _decode_jsonb(data: bytes) -> Any:
    return msgspec.json.decode(memoryview(data)[len(_JSONB_VERSION) :])


async def _close(pool: BoundedPool) -> None:
    try:
        await asyncio.wait_for(pool.close(), CLOSE_TIMEOUT_S)
    except TimeoutError:
        _logger.warning("connections cut off", reason="still in use at shutdown")
        pool.terminate()
