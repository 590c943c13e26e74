"""API keys in Postgres, one typed function per statement."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from pintuan.people.api_keys.limits import LAST_USED_INTERVAL_MS
from pintuan.people.api_keys.schemas import ApiKey
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from pintuan.base.wire.cursors import Cursor
    from pintuan.people.api_keys.key_text import Claimed
    from sql import Connection

API_KEYS = load_queries(__package__)


async def count_keys(connection: PoolConnectionProxy, merchant_id: str) -> int:
    """Returns how many keys the merchant has."""
    count: int = await connection.fetchval(API_KEYS["count_keys"], merchant_id)
    return count


async def insert_key(
    connection: PoolConnectionProxy,
    claimed: Claimed,
    *,
    merchant_id: str,
    name: str,
    expires_at: datetime | None,
) -> datetime | None:
    """Adds a key and returns when; None when `expires_at` is past."""
    created_at: datetime | None = await connection.fetchval(
        API_KEYS["insert_key"], claimed.key_id, merchant_id, name, claimed.secret_digest, expires_at
    )
    return created_at


async def list_keys(
    pool: asyncpg.Pool, merchant_id: str, *, after: Cursor | None, limit: int
) -> list[ApiKey]:
    """Returns up to `limit` keys of the merchant, newest first, from just behind `after`."""
    created_at, key_id = (after.created_at, after.id) if after else (None, None)
    rows = await pool.fetch(API_KEYS["list_keys"], merchant_id, created_at, key_id, limit)
    return [msgspec.convert(dict(row), ApiKey) for row in rows]


async def delete_key(connection: PoolConnectionProxy, key_id: str, *, merchant_id: str) -> str | None:
    """Removes the merchant's key and returns its name; None where there was none."""
    name: str | None = await connection.fetchval(API_KEYS["delete_key"], key_id, merchant_id)
    return name


async def delete_keys(connection: Connection, merchant_id: str) -> list[str]:
    """Removes all of the merchant's keys and returns their ids."""
    rows = await connection.fetch(API_KEYS["delete_keys"], merchant_id)
    return [row["id"] for row in rows]


async def use_key(pool: asyncpg.Pool, claimed: Claimed) -> str | None:
    """Returns the merchant whose valid key this is and notes the use, or None; they may sell now."""
    merchant_id: str | None = await pool.fetchval(
        API_KEYS["use_key"], claimed.key_id, claimed.secret_digest, LAST_USED_INTERVAL_MS
    )
    return merchant_id
