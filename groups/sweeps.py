"""When a sweep has something to do, and whose turn at it is next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

SWEEPS = load_queries("groups.queries", "sweeps")


async def take_turn(pool: asyncpg.Pool, sweep: str, *, turn_ms: int) -> bool:
    """Takes the turn at a sweep for `turn_ms`; False while somebody else has it."""
    return await pool.fetchval(SWEEPS["take_turn"], sweep, turn_ms) is not None


async def next_group_check_ms(pool: asyncpg.Pool, *, within_ms: int) -> int | None:
    """Returns in how many ms the next group is due for a look not due yet; None when none is in time."""
    wait_ms: int | None = await pool.fetchval(SWEEPS["next_group_check_ms"], within_ms)
    return wait_ms
