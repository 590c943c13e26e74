"""The buyer who opened a group leads it, until the order ends or turns out never to have been recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from sql import load_queries
from sql.retry import retry_serialization

LIFECYCLE = load_queries("groups.queries", "lifecycle")
PLACEMENTS = load_queries("groups.queries", "placements")


async def pass_lead(connection: Any, order_ids: list[str], group_ids: list[str]) -> None:
    """Finds new leaders, in the caller's transaction, where `order_ids` led.

    Their groups are found by themselves; only those of orders that were never recorded stand in `group_ids`.
    """
    await connection.execute(LIFECYCLE["lock_leaderless_groups"], order_ids, group_ids)
    await connection.execute(LIFECYCLE["pass_lead"], order_ids, group_ids)


async def replace_founders(pool: asyncpg.Pool, groups_by_founder: Mapping[str, str]) -> None:
    """Takes back groups whose founders' orders were refused and that nobody else is in; the others go on.

    `groups_by_founder` maps order ids to group ids. Otherwise such a group would have no leader, and be open
    in Postgres while its lane has forgotten it.
    """
    order_ids, group_ids = list(groups_by_founder), list(groups_by_founder.values())

    async def transaction() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(PLACEMENTS["lock_unfounded_groups"], group_ids)
            await connection.execute(PLACEMENTS["drop_unfounded_groups"], group_ids)
            await pass_lead(connection, order_ids, group_ids)

    await retry_serialization(transaction)
