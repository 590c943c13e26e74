"""How often something may happen, counted exactly in Postgres over a sliding window.

The placement script's rate limits are made for thousands of calls a second and live in Redis, which may
forget. Guessing codes must not get easier when it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from groups.errors import RateLimited
from pintuan.people.identity import store

if TYPE_CHECKING:
    from pintuan.people.identity.store import Connection


class Limit(msgspec.Struct, frozen=True):
    """At most `count` in any `window_ms`; `scope` keeps the keys of one limit from those of another."""

    scope: str
    count: int
    window_ms: int
    refusal: str


_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 24 * 60 * _MINUTE_MS
_TOO_MANY_CODES: Final = "Too many codes were sent to this address; use the last one."
# What one client may have sent to one contact.
CODES_PER_CALLER: Final = (
    Limit("codes of caller", 5, 15 * _MINUTE_MS, _TOO_MANY_CODES),
    Limit("codes of caller, daily", 20, _DAY_MS, _TOO_MANY_CODES),
)
# What may be sent to one contact for all clients together from which nobody signed in with it. It takes three
# of them to use that up, and those who signed in before still have their own.
CODES_FOR_STRANGERS: Final = (
    Limit("codes for strangers", 15, 15 * _MINUTE_MS, _TOO_MANY_CODES),
    Limit("codes for strangers, daily", 60, _DAY_MS, _TOO_MANY_CODES),
)
CLIENT_KNOWN_MS: Final = 90 * _DAY_MS
CLIENTS_KNOWN_MAX: Final = 5
CODES_PER_CLIENT: Final = Limit(
    "codes of client", 200, 60 * _MINUTE_MS, "Too many codes were asked for from this network."
)
# Whoever asked for a code has five answers to it, so that what is sent bounds what is guessed. These are the
# answers of clients that asked for none, all together and each (docs/decisions/0009 counts what it comes to).
_TOO_MANY_ANSWERS: Final = "Too many wrong codes were tried for this address."
WRONG_ANSWERS_OF_STRANGERS: Final = (
    Limit("wrong answers of contact", 20, 60 * _MINUTE_MS, _TOO_MANY_ANSWERS),
    Limit("wrong answers of contact, daily", 100, _DAY_MS, _TOO_MANY_ANSWERS),
)
WRONG_ANSWERS_PER_STRANGER: Final = Limit("wrong answers of stranger", 5, 60 * _MINUTE_MS, _TOO_MANY_ANSWERS)


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
    await store.lock_window(connection, limit.scope, key_digest)
    return await store.count_in_window(
        connection, limit.scope, key_digest, window_ms=limit.window_ms, count_max=limit.count, times=times
    )


async def refuse_above(connection: Connection, limit: Limit, key_digest: bytes, *, times: int = 1) -> None:
    """Counts nothing; raises RateLimited as `count` would. A limit is never below `times`."""
    wait_ms = await store.window_wait_ms(
        connection, limit.scope, key_digest, window_ms=limit.window_ms, count_max=limit.count - times + 1
    )
    if wait_ms is not None:
        raise RateLimited(limit.refusal, retry_after_s=max(1, -(-wait_ms // 1000)))
