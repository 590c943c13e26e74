"""The checks behind readiness, each with its own deadline and all at once."""

from __future__ import annotations

import asyncio
import time
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from pintuan.base.clock import read_server_time
from pintuan.base.errors import FieldError
from pintuan.base.stores.redis import ping
from pintuan.base.telemetry import metrics
from pintuan.http.health import waits
from pintuan.http.health.shared_answer import METRICS_KEPT_S, READINESS_KEPT_S, SharedAnswer
from pintuan.http.health.waits import STORE_AWAY
from sql.schema import Schema, missing_from, read_schema

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import asyncpg

    from groups.connections import Connections

CHECK_TIMEOUT_S: Final = 1.0
# A worker comes to the end of several sweeps a second.
SWEEP_AGE_S_MAX: Final = 20.0


def shared_readiness(
    pool: asyncpg.Pool, redis: Connections, *, watches_workers: bool
) -> SharedAnswer[list[FieldError]]:
    """Returns what tells everybody which parts fail; that none does is remembered for a moment."""
    return SharedAnswer(
        partial(failing_parts, pool, redis, watches_workers=watches_workers),
        kept_s=READINESS_KEPT_S,
        keeps=lambda failing: not failing,
    )


def shared_metrics(pool: asyncpg.Pool, redis: Connections) -> SharedAnswer[bytes]:
    """Returns what tells everybody the metrics, which are read from files and put together in a thread.

    Waits are looked up in Postgres before that, less often.
    """
    looked = SharedAnswer(partial(waits.look, pool, redis), kept_s=waits.WAITS_KEPT_S)

    async def look() -> bytes:
        await looked.get()
        return await asyncio.to_thread(metrics.render)

    return SharedAnswer(look, kept_s=METRICS_KEPT_S)


async def failing_parts(
    pool: asyncpg.Pool, redis: Connections, *, watches_workers: bool = False
) -> list[FieldError]:
    """Returns one entry per part that keeps this process from serving; none when it is ready.

    With `watches_workers` the workers of this node are a part: whether one came to the end of a sweep.
    """
    workers = [_within_deadline("workers", _check_workers())] if watches_workers else []
    findings = await asyncio.gather(
        *workers,
        _within_deadline("postgres", _check_postgres(pool)),
        _within_deadline("redis", _check_redis(redis)),
        _within_deadline("migrations", _check_migrations(pool)),
    )
    return [finding for finding in findings if finding is not None]


async def _within_deadline(part: str, check: Awaitable[str | None]) -> FieldError | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            trouble = await check
    except TimeoutError:
        trouble = f"no answer within {CHECK_TIMEOUT_S:g} s"
    except STORE_AWAY as error:
        # The class says enough to an operator; the text might name hosts and users to anybody who asks.
        trouble = f"does not answer: {type(error).__name__}"
    return FieldError(part, trouble) if trouble is not None else None


async def _check_postgres(pool: asyncpg.Pool) -> None:
    await read_server_time(pool, timeout_s=CHECK_TIMEOUT_S)


async def _check_redis(redis: Connections) -> None:
    await ping(redis)


async def _check_workers() -> str | None:
    finished_s = await asyncio.to_thread(metrics.last_sweep_s)
    if finished_s is None:
        return "no sweep has ended yet"
    # Both are times of this machine's clock.
    age_s = time.time() - finished_s
    return f"no sweep has ended for {age_s:.0f} s" if age_s > SWEEP_AGE_S_MAX else None


async def _check_migrations(pool: asyncpg.Pool) -> str | None:
    missing = await missing_from(pool, _known_schema(), timeout_s=CHECK_TIMEOUT_S)
    if missing is None:
        return "none applied; run `pintuan migrate`"
    return f"{len(missing)} not applied, first {missing[0]}; run `pintuan migrate`" if missing else None


@cache
def _known_schema() -> Schema:
    # The files this process was built for, whatever a later version puts into the directories meanwhile.
    return read_schema()
