"""Links in Postgres, one typed function per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

LINKS: Final = load_queries(__package__)


async def note_opened(pool: asyncpg.Pool, share_code: str, code: str) -> None:
    """Notes that a personal link was followed; one that was before, or leads nowhere, changes nothing."""
    await pool.execute(LINKS["note_opened"], share_code, code)
