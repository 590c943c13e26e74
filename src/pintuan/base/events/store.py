"""Events in Postgres, one typed function per statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from pintuan.base.events.event import Event
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from sql import Connection

EVENTS: Final = load_queries(__package__)
# Events of one noun that are counted; a higher number would tell nothing more.
COUNTED_MAX: Final = 100_000


class Unheard(NamedTuple):
    """The count of events a noun has yet to hear, and the wait of the oldest that did not fail."""

    events: int
    waited_ms: int


def sweep_of(noun: str) -> str:
    """Returns what setbacks of a noun's events are called."""
    return f"{noun} events"


async def unheard(pool: asyncpg.Pool, noun: str, *, limit: int) -> list[str]:
    """Returns the ids of up to `limit` events that the noun has yet to hear, the oldest first."""
    return [row["id"] for row in await pool.fetch(EVENTS["unheard_events"], noun, sweep_of(noun), limit)]


async def take(connection: Connection, noun: str, event_ids: Sequence[str]) -> list[Event]:
    """Deletes the given events that the noun has yet to hear, and returns them in the order of their ids.

    Events that another transaction is taking are left to it.
    """
    rows = await connection.fetch(EVENTS["take_events"], noun, [int(event_id) for event_id in event_ids])
    return sorted((Event(**row) for row in rows), key=_id_of)


async def waited_ms(pool: asyncpg.Pool, noun: str) -> int:
    """Returns for how long the oldest event has waited that the noun has yet to hear; 0 if none."""
    waited: int | None = await pool.fetchval(EVENTS["waited_ms"], noun)
    return waited or 0


async def count_unheard(pool: asyncpg.Pool) -> dict[str, Unheard]:
    """Returns what each noun has yet to hear; it counts to `COUNTED_MAX`."""
    rows = await pool.fetch(EVENTS["count_unheard"], COUNTED_MAX)
    return {row["noun"]: Unheard(row["events"], row["waited_ms"]) for row in rows}


def _id_of(event: Event) -> int:
    return event.id
