"""How often something happened, in Postgres, one typed function per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sql import load_queries

if TYPE_CHECKING:
    from sql import Connection

LIMITS: Final = load_queries(__package__, "limits")


async def lock_window(connection: Connection, scope: str, key_digest: bytes) -> None:
    """Locks one key of a limit until the transaction ends."""
    await connection.execute(LIMITS["lock_window"], scope, key_digest)


async def count_in_window(
    connection: Connection, scope: str, key_digest: bytes, *, window_ms: int, count_max: int, times: int
) -> bool:
    """Counts `times` more if there is room for all; the key must be locked. Returns whether there was."""
    counted = await connection.fetchval(
        LIMITS["count_in_window"], scope, key_digest, window_ms, count_max, times
    )
    return counted is not None


async def window_wait_ms(
    connection: Connection, scope: str, key_digest: bytes, *, window_ms: int, count_max: int
) -> int | None:
    """Returns in how many ms there is room again; None when there is now."""
    wait_ms: int | None = await connection.fetchval(
        LIMITS["window_wait_ms"], scope, key_digest, window_ms, count_max
    )
    return wait_ms
