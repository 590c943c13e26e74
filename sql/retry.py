"""Repeats a transaction that Postgres rolled back for somebody else's sake."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

ROLLED_BACK_RETRY_MAX: Final = 3
STALE_PLAN_RETRY_MAX: Final = 1
RETRY_BACKOFF_MS: Final = 10

T = TypeVar("T")


async def retry_serialization(operation: Callable[[], Awaitable[T]]) -> T:
    """Returns what `operation` returns; `operation` must hold its whole transaction.

    A deadlock (40P01) or serialization failure (40001) is repeated up to `ROLLED_BACK_RETRY_MAX` times after
    a short random pause; a plan that a migration made stale, once.

    Raises:
        asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InvalidCachedStatementError: the
            bound is used up.
    """
    rolled_back_count = 0
    stale_plan_count = 0
    while True:
        try:
            return await operation()
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            rolled_back_count += 1
            if rolled_back_count > ROLLED_BACK_RETRY_MAX:
                raise
            pause_ms = random.uniform(1, RETRY_BACKOFF_MS) * rolled_back_count  # noqa: S311 - jitter only
            await asyncio.sleep(pause_ms / 1000)
        except asyncpg.InvalidCachedStatementError:
            stale_plan_count += 1
            if stale_plan_count > STALE_PLAN_RETRY_MAX:
                raise
