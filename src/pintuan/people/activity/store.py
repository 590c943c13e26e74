"""The log in Postgres, one typed function per statement that reads it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from groups.setbacks import Broom
from pintuan.base.auth.principal import ActorRole, Credential
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.wire.cursors import Cursor

QUERIES: Final = load_queries(__package__)
ADDRESSES_KEPT_MS: Final = 90 * 24 * 3_600_000
"""Long enough to follow up what somebody noticed a quarter of a year later."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are asked for; None lets all pass. Times are from, included, and to, not included."""

    merchant_id: str | None = None
    actor: str | None = None
    action: str | None = None
    object_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as it was written, with the address while it is known."""

    id: str
    merchant_id: str | None
    actor: str
    actor_role: ActorRole
    credential: Credential
    credential_id: str | None
    action: str
    object_ids: list[str]
    changes: dict[str, dict[str, Any]]
    request_id: str | None
    created_at: datetime
    address: str | None


async def list_activity(
    pool: asyncpg.Pool, wanted: Wanted, *, after: Cursor | None, limit: int
) -> list[Entry]:
    """Returns up to `limit` entries, newest first, from just behind `after`."""
    created_at, entry_id = (after.created_at, after.id) if after else (None, None)
    rows = await pool.fetch(
        QUERIES["list_activity"], *msgspec.structs.astuple(wanted), created_at, entry_id, limit
    )
    return [msgspec.convert(dict(row), Entry) for row in rows]


async def forget_addresses(pool: asyncpg.Pool, limit: int) -> int:
    """Forgets up to `limit` addresses that were kept for `ADDRESSES_KEPT_MS`; returns how many."""
    broom = Broom(
        pool,
        "activity addresses",
        due=QUERIES["addresses_to_forget"],
        drop=QUERIES["forget_addresses"],
        arguments=[ADDRESSES_KEPT_MS],
    )
    return await broom.sweep(limit)
