"""How often something may happen, counted exactly in Postgres over a sliding window.

The placement script's rate limits are made for thousands of calls a second and live in Redis, which may
forget. Guessing codes must not get easier when it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pintuan.base import limits_store
from pintuan.base.errors import RateLimited

if TYPE_CHECKING:
    from sql import Connection


class Limit(msgspec.Struct, frozen=True):
    """At most `count` in any `window_ms`; `scope` keeps the keys of one limit from those of another."""

    scope: str
    count: int
    window_ms: int
    refusal: str


async def count(connection: Connection, limit: Limit, key_digest: bytes, *, times: int = 1) -> None:
    """Counts so many more in the caller's transaction; the key stays locked until it ends.

    Raises:
        RateLimited: the limit is reached; says when there is room again.
    """
    if not await count_where_room(connection, limit, key_digest, times=times):
        await refuse_above(connection, limit, key_digest, times=times)


async def count_where_room(
    connection: Connection, limit: Limit, key_digest: bytes, *, times: int = 1
) -> bool:
    """The same, but only says whether there was room."""
    await limits_store.lock_window(connection, limit.scope, key_digest)
    return await limits_store.count_in_window(
        connection, limit.scope, key_digest, window_ms=limit.window_ms, count_max=limit.count, times=times
    )


async def is_full(connection: Connection, limit: Limit, key_digest: bytes) -> bool:
    """Says whether `count` would refuse one more; counts and locks nothing."""
    wait_ms = await limits_store.window_wait_ms(
        connection, limit.scope, key_digest, window_ms=limit.window_ms, count_max=limit.count
    )
    return wait_ms is not None


async def refuse_above(connection: Connection, limit: Limit, key_digest: bytes, *, times: int = 1) -> None:
    """Counts nothing; raises RateLimited as `count` would. A limit is never below `times`."""
    wait_ms = await limits_store.window_wait_ms(
        connection, limit.scope, key_digest, window_ms=limit.window_ms, count_max=limit.count - times + 1
    )
    if wait_ms is not None:
        raise RateLimited(limit.refusal, retry_after_s=max(1, -(-wait_ms // 1000)))
