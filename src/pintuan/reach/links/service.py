"""The traces of following a link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.reach.links import store

if TYPE_CHECKING:
    import asyncpg


async def note_opened(pool: asyncpg.Pool, share_code: str, code: str) -> None:
    """Notes that a personal link was followed; one that was before, or leads nowhere, changes nothing."""
    await store.note_opened(pool, share_code, code)
