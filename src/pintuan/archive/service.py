"""Moving what is long over into the archive, a bounded batch in each transaction.

An order is in one of two tables at every instant, because a batch moves in one statement: a worker that
dies in between leaves it where it was. What has to change an archived order, a refund or an erasure, first
brings it back in its own transaction; its age then begins anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from pintuan.archive import store
from sql.retry import retry_serialization

if TYPE_CHECKING:
    import asyncpg

# Of a large group one batch takes a part; small ones share a batch.
GROUPS_PER_BATCH: Final = 100
# A release migrates before it replaces processes one by one, which takes minutes.
RELEASE_MS: Final = 3_600_000

_logger = structlog.get_logger("pintuan.archive")


class Archivist:
    """Archives orders whose group ended, or which without one ended or were paid for, `age_ms` ago.

    It forgets limits per buyer as long after the end of their deal. No group outlives its deal by 7 days, and
    the audit counts no units of a deal from then on, so `age_ms` is that or more.

    Any number of processes may have one.
    """

    def __init__(self, pool: asyncpg.Pool, *, age_ms: int) -> None:
        self._pool = pool
        self._age_ms = age_ms

    async def may_begin(self) -> bool:
        """Says whether every process that runs by now finds orders in the archive."""
        return await store.is_known_everywhere(self._pool, release_ms=RELEASE_MS)

    async def archive_groups(self, limit: int) -> int:
        """Moves up to `limit` orders of groups; returns how many groups and orders it was done with."""
        groups, orders = await retry_serialization(lambda: self._archive_groups(limit))
        if orders:
            _logger.debug("orders archived", orders=orders)
        return groups + orders

    async def archive_solo_orders(self, limit: int) -> int:
        """Moves up to `limit` orders without a group; returns how many."""
        orders = await retry_serialization(lambda: self._archive_solo_orders(limit))
        if orders:
            _logger.debug("solo orders archived", orders=orders)
        return orders

    async def forget_limits(self, limit: int) -> int:
        """Forgets what up to `limit` buyers have of a deal that ended; returns how many rows it saw to."""
        return await retry_serialization(lambda: self._forget_limits(limit))

    async def _forget_limits(self, limit: int) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            deal_id = await store.lock_deal_to_forget(connection, age_ms=self._age_ms)
            if deal_id is None:
                return 0
            buyers = await store.forget_units(connection, deal_id, limit=limit)
            if buyers == limit:
                return buyers
            await store.end_forgetting(connection, deal_id)
            return buyers + 1

    async def _archive_groups(self, limit: int) -> tuple[int, int]:
        async with self._pool.acquire() as connection, connection.transaction():
            group_ids = await store.lock_groups_to_archive(
                connection, age_ms=self._age_ms, limit=GROUPS_PER_BATCH
            )
            if not group_ids:
                return 0, 0
            order_ids = await store.lock_orders_of_groups(connection, group_ids, limit=limit)
            # In a statement of its own, which sees what was committed before the locks were there.
            orders = await store.archive_orders(connection, order_ids)
            if len(order_ids) == limit:
                return 0, orders
            await store.end_archiving(connection, group_ids)
            return len(group_ids), orders

    async def _archive_solo_orders(self, limit: int) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            order_ids = await store.lock_solo_orders(connection, age_ms=self._age_ms, limit=limit)
            return await store.archive_orders(connection, order_ids)
