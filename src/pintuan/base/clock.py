"""The server's time, as Postgres tells it.

A process' own clock may be wrong by hours and must decide nothing. Asking Postgres for each request would
cost a round trip. The server's clock is therefore read now and then, and counted on from there by monotonic
time, which no operator sets. `PINTUAN_CLOCK_OFFSET_MS` therefore shifts the times in logs and nothing else.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncpg.pool import PoolConnectionProxy

    from pintuan.base.settings.settings import Settings

QUERIES: Final = load_queries(__package__, "clock")

SAMPLE_INTERVAL_S: Final = 30.0
SAMPLE_TIMEOUT_S: Final = 2.0
STEP_WORTH_A_WARNING_S: Final = 1.0

_logger = structlog.get_logger("pintuan.base.clock")


def process_now(settings: Settings) -> datetime:
    """Returns this process' own idea of the time, offset included; good for log lines only."""
    return datetime.now(UTC) + timedelta(milliseconds=settings.clock_offset_ms)


async def read_server_time(
    connection: asyncpg.Pool | asyncpg.Connection | PoolConnectionProxy, *, timeout_s: float | None = None
) -> float:
    """Returns Postgres' real time in Unix seconds.

    Raises:
        TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError: Postgres did not answer.
    """
    now_s: float = await connection.fetchval(QUERIES["read_server_time"], timeout=timeout_s)
    return now_s


class ServerClock:
    """Postgres' real time (never the simulated one), counted on between samples by monotonic time."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._server_minus_monotonic_s: float | None = None

    def now_s(self) -> float:
        """Returns Unix seconds.

        Raises:
            RuntimeError: no sample was taken yet.
        """
        if self._server_minus_monotonic_s is None:
            raise RuntimeError("the server's clock was never read")
        return time.monotonic() + self._server_minus_monotonic_s

    async def sample(self) -> None:
        """Reads the server's clock; half the round trip is taken to have passed on the way back.

        Raises:
            TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError: Postgres did not answer.
        """
        asked_s = time.monotonic()
        async with self._pool.acquire(timeout=SAMPLE_TIMEOUT_S) as connection:
            asked_s = time.monotonic()
            server_s = await read_server_time(connection, timeout_s=SAMPLE_TIMEOUT_S)
        answered_s = time.monotonic()
        difference_s = server_s - (asked_s + answered_s) / 2
        known_s = self._server_minus_monotonic_s
        if known_s is not None and abs(difference_s - known_s) > STEP_WORTH_A_WARNING_S:
            _logger.warning("server clock stepped", step_s=round(difference_s - known_s, 3))
        self._server_minus_monotonic_s = difference_s

    async def _sample_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_INTERVAL_S)
            try:
                await self.sample()
            except (
                OSError,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
            ) as error:
                # The last sample counts on; monotonic time drifts by far less than tokens care about.
                _logger.warning("server clock not read", error=repr(error))


@asynccontextmanager
async def open_clock(pool: asyncpg.Pool) -> AsyncIterator[ServerClock]:
    """Reads the server's clock once and keeps it read for the life of the block; raises as `sample` does."""
    clock = ServerClock(pool)
    await clock.sample()
    task = asyncio.create_task(clock._sample_for_ever(), name="server clock")
    try:
        yield clock
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
