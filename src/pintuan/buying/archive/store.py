"""The archive in Postgres, one typed function per statement.

The functions run inside the caller's transaction, and lock groups before orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import asyncpg

    from sql import Connection


QUERIES: Final = load_queries(__package__)


async def is_known_everywhere(pool: asyncpg.Pool, *, release_ms: int) -> bool:
    """Says whether the release that brought the archive is over, as it is after `release_ms`."""
    known: bool = await pool.fetchval(QUERIES["is_known_everywhere"], release_ms)
    return known


async def groups_to_archive(pool: asyncpg.Pool, *, age_ms: int, limit: int) -> list[str]:
    """Returns up to `limit` groups that ended more than `age_ms` ago, the oldest first."""
    return [row["id"] for row in await pool.fetch(QUERIES["groups_to_archive"], age_ms, limit)]


async def lock_groups_to_archive(
    connection: Connection, group_ids: Sequence[str], *, age_ms: int
) -> list[str]:
    """Takes those of the groups that are to be archived and that nobody else has taken."""
    rows = await connection.fetch(QUERIES["lock_groups_to_archive"], group_ids, age_ms)
    return [row["id"] for row in rows]


async def lock_orders_of_groups(connection: Connection, group_ids: Sequence[str], *, limit: int) -> list[str]:
    """Locks orders of locked groups that seem to be over."""
    return [row["id"] for row in await connection.fetch(QUERIES["lock_orders_of_groups"], group_ids, limit)]


async def solo_orders_to_archive(pool: asyncpg.Pool, *, age_ms: int, limit: int) -> list[str]:
    """Returns orders without a group that changed last more than `age_ms` ago and seem to be over."""
    return [row["id"] for row in await pool.fetch(QUERIES["solo_orders_to_archive"], age_ms, limit)]


async def lock_solo_orders(connection: Connection, order_ids: Sequence[str], *, age_ms: int) -> list[str]:
    """Takes those of the orders that are to be archived and that nobody else has taken."""
    return [row["id"] for row in await connection.fetch(QUERIES["lock_solo_orders"], order_ids, age_ms)]


async def archive_orders(connection: Connection, order_ids: Sequence[str]) -> int:
    """Moves those of the locked orders that are over; returns how many."""
    count: int = await connection.fetchval(QUERIES["archive_orders"], order_ids)
    return count


async def end_archiving(connection: Connection, group_ids: Sequence[str]) -> None:
    """Notes of locked groups, all of whose orders were looked at, whether any had to stay."""
    await connection.execute(QUERIES["end_archiving"], group_ids)


async def deals_to_forget(pool: asyncpg.Pool, *, age_ms: int, limit: int) -> list[str]:
    """Returns up to `limit` deals that ended more than `age_ms` ago with all their groups, oldest first."""
    return [row["id"] for row in await pool.fetch(QUERIES["deals_to_forget"], age_ms, limit)]


async def lock_deal_to_forget(connection: Connection, deal_id: str, *, age_ms: int) -> bool:
    """Takes such a deal; False when it is none any more, or somebody else has taken it."""
    return await connection.fetchval(QUERIES["lock_deal_to_forget"], deal_id, age_ms) is not None


async def forget_units(connection: Connection, deal_id: str, *, limit: int) -> int:
    """Forgets what buyers have of a locked deal, at most `limit`, erased ones last; returns how many."""
    count: int = await connection.fetchval(QUERIES["forget_units"], deal_id, limit)
    if count < limit:
        count += await connection.fetchval(QUERIES["forget_erased_units"], deal_id, limit - count)
    return count


async def end_forgetting(connection: Connection, deal_id: str) -> None:
    """Notes that nothing is left to forget of a locked deal."""
    await connection.execute(QUERIES["end_forgetting"], deal_id)


async def bring_back(connection: Connection, order_ids: Sequence[str]) -> int:
    """Moves archived orders back, for a change of them; returns how many were there."""
    if not order_ids:
        return 0
    await connection.execute(QUERIES["lock_groups_of_archived"], order_ids)
    count: int = await connection.fetchval(QUERIES["bring_back_orders"], order_ids)
    return count


async def bring_back_order(connection: Connection, order_id: str, *, merchant_id: str | None) -> bool:
    """Moves one order of a merchant, with None of anybody, back; False when the archive has none such."""
    row = await connection.fetchrow(QUERIES["archived_order_of_merchant"], order_id, merchant_id)
    return row is not None and await bring_back(connection, [row["id"]]) == 1


async def bring_back_of_buyer(connection: Connection, buyer_id: str, *, until: datetime, limit: int) -> int:
    """Moves up to `limit` orders back that a buyer placed by a moment; returns how many."""
    rows = await connection.fetch(QUERIES["archived_orders_of_buyer"], buyer_id, until, limit)
    return await bring_back(connection, [row["id"] for row in rows])
