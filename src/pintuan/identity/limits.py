"""How often something may happen, counted exactly in Postgres over a sliding window.

The placement script's rate limits are made for thousands of calls a second and live in Redis, which may
forget. Guessing codes must not get easier when it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from groups.errors import RateLimited
from pintuan.identity import store

if TYPE_CHECKING:
    from pintuan.identity.store import Connection


class Limit(msgspec.Struct, frozen=True):
    """At most `count` in any `window_ms`; `scope` keeps the keys of one limit from those of another."""

    scope: str
    count: int
    window_ms: int
    refusal: str


_MINUTE_MS: Final = 60_000
CODES_PER_CONTACT: Final = Limit(
    "codes of contact", 5, 15 * _MINUTE_MS, "Too many codes were sent to this address; use the last one."
)
CODES_PER_CLIENT: Final = Limit(
    "codes of client", 200, 60 * _MINUTE_MS, "Too many codes were asked for from this network."
)
# Over all codes of a contact: asking for new ones must not buy more guesses. With six digits, 20 an hour find
# a code in about six years.
WRONG_ANSWERS_PER_CONTACT: Final = Limit(
    "wrong answers of contact", 20, 60 * _MINUTE_MS, "Too many wrong codes were tried for this address."
)


async def count(connection: Connection, limit: Limit, key_digest: bytes, *, times: int = 1) -> None:
    """Counts so many more in the caller's transaction; the key stays locked until it ends.

    Raises:
        RateLimited: the limit is reached; says when there is room again.
    """
    await store.lock_window(connection, limit.scope, key_digest)
    if not await store.count_in_window(
        connection, limit.scope, key_digest, window_ms=limit.window_ms, count_max=limit.count, times=times
    ):
        await refuse_above(connection, limit, key_digest, times=times)


async def refuse_above(connection: Connection, limit: Limit, key_digest: bytes, *, times: int = 1) -> None:
    """Counts nothing; raises RateLimited as `count` would. A limit is never below `times`."""
    wait_ms = await store.window_wait_ms(
        connection, limit.scope, key_digest, window_ms=limit.window_ms, count_max=limit.count - times + 1
    )
    if wait_ms is not None:
        raise RateLimited(limit.refusal, retry_after_s=max(1, -(-wait_ms // 1000)))
