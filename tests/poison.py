"""Rows on which every statement that touches them fails, whichever sweep makes it."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

_SET_UP = """
CREATE TABLE poison (id text PRIMARY KEY);
CREATE FUNCTION poisoned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM poison p WHERE p.id = to_jsonb(coalesce(NEW, OLD)) ->> TG_ARGV[0]) THEN
        RAISE EXCEPTION 'poisoned';
    END IF;
    RETURN coalesce(NEW, OLD);
END
$$;
"""


async def poison(
    pool: asyncpg.Pool, table: str, column: str, values: Sequence[str], *, when: str | None = None
) -> None:
    """Lets every change of the table's rows fail that have one of the values in the column.

    With `when`, a condition on NEW, only updates fail that meet it.
    """
    events, condition = ("INSERT OR UPDATE OR DELETE", "") if when is None else ("UPDATE", f"WHEN ({when})")
    await pool.execute(_SET_UP)
    await pool.execute(
        f"CREATE TRIGGER a_poisoned BEFORE {events} ON {table}"
        f" FOR EACH ROW {condition} EXECUTE FUNCTION poisoned('{column}')"
    )
    await pool.executemany("INSERT INTO poison (id) VALUES ($1)", [(value,) for value in values])


async def heal(pool: asyncpg.Pool) -> None:
    """Lets the rows be changed again, and whoever noted that they failed try them at once."""
    await pool.execute("DELETE FROM poison")
    await make_second_tries_due(pool)


async def make_second_tries_due(pool: asyncpg.Pool) -> None:
    """Lets the pause before the next try of every row be over."""
    await pool.execute("UPDATE setbacks SET look_at = app_now()")


async def noted(pool: asyncpg.Pool) -> dict[str, int]:
    """Row -> how often it has failed."""
    rows = await pool.fetch("SELECT row_id, attempts FROM setbacks")
    return {row["row_id"]: row["attempts"] for row in rows}
