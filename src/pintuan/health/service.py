"""The checks behind readiness, each with its own deadline and all at once."""

from __future__ import annotations

import asyncio
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import asyncpg
import redis.exceptions

from pintuan import metrics
from pintuan.errors import FieldError
from pintuan.health.shared_answer import METRICS_KEPT_S, READINESS_KEPT_S, SharedAnswer
from pintuan.redis_connection import ping
from sql import load_queries
from sql.migration_files import read_migrations

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pintuan.bootstrap import Resources

HEALTH: Final = load_queries("health")
MIGRATIONS: Final = load_queries("migrations")

CHECK_TIMEOUT_S: Final = 1.0

_AWAY: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    redis.exceptions.RedisError,
)


def shared_readiness(resources: Resources) -> SharedAnswer[list[FieldError]]:
    """Returns what tells everybody which parts fail; that none does is remembered for a moment."""
    return SharedAnswer(
        partial(failing_parts, resources), kept_s=READINESS_KEPT_S, keeps=lambda failing: not failing
    )


def shared_metrics() -> SharedAnswer[bytes]:
    """Returns what tells everybody the metrics, which are read from files and put together in a thread."""
    return SharedAnswer(partial(asyncio.to_thread, metrics.render), kept_s=METRICS_KEPT_S)


async def failing_parts(resources: Resources) -> list[FieldError]:
    """Returns one entry per part that keeps this process from serving; none when it is ready."""
    findings = await asyncio.gather(
        _within_deadline("postgres", _check_postgres(resources)),
        _within_deadline("redis", _check_redis(resources)),
        _within_deadline("migrations", _check_migrations(resources)),
    )
    return [finding for finding in findings if finding is not None]


async def _within_deadline(part: str, check: Awaitable[str | None]) -> FieldError | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            trouble = await check
    except TimeoutError:
        trouble = f"no answer within {CHECK_TIMEOUT_S:g} s"
    except _AWAY as error:
        # The class says enough to an operator; the text might name hosts and users to anybody who asks.
        trouble = f"does not answer: {type(error).__name__}"
    return FieldError(part, trouble) if trouble is not None else None


async def _check_postgres(resources: Resources) -> None:
    await resources.pool.fetchval(HEALTH["read_server_time"], timeout=CHECK_TIMEOUT_S)


async def _check_redis(resources: Resources) -> None:
    await ping(resources.redis)


async def _check_migrations(resources: Resources) -> str | None:
    if not await resources.pool.fetchval(MIGRATIONS["has_table"], timeout=CHECK_TIMEOUT_S):
        return "none applied; run `pintuan migrate`"
    rows = await resources.pool.fetch(MIGRATIONS["list_applied"], timeout=CHECK_TIMEOUT_S)
    applied = {row["name"] for row in rows}
    missing = [name for name in _known_migrations() if name not in applied]
    return f"{len(missing)} not applied, first {missing[0]}; run `pintuan migrate`" if missing else None


@cache
def _known_migrations() -> list[str]:
    # Those this process was built for, whatever a later version puts into the directory meanwhile.
    return [migration.name for migration in read_migrations(files("sql").joinpath("migrations"))]
