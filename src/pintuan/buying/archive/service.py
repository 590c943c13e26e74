"""Moving what is long over into the archive, a bounded batch in each transaction.

An order is in one of two tables at every instant, because a batch moves in one statement: a worker that dies
in between leaves it in its place. A change of an archived order, by a refund or an erasure, first brings it
back in its own transaction; its age then begins anew.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from groups.setbacks import Setbacks
from pintuan.buying.archive import store
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import asyncpg

    from groups.setbacks import Work
    from sql import Connection

# A batch takes a part of a large group; small ones share a batch.
GROUPS_PER_BATCH: Final = 100
DEALS_PER_BATCH: Final = 10
ROWS_PER_SECOND_TRY: Final = 1_000
# A release migrates before it replaces processes one by one, which takes minutes.
RELEASE_MS: Final = 3_600_000

_logger = structlog.get_logger("pintuan.buying.archive")


async def bring_back_order(connection: Connection, order_id: str, *, merchant_id: str | None) -> bool:
    """Moves one order of a merchant, with None of anybody, back; False when the archive has none such."""
    return await store.bring_back_order(connection, order_id, merchant_id=merchant_id)


async def bring_back_of_buyer(connection: Connection, buyer_id: str, *, until: datetime, limit: int) -> int:
    """Moves up to `limit` orders back that a buyer placed by a moment; returns how many."""
    return await store.bring_back_of_buyer(connection, buyer_id, until=until, limit=limit)


class Archivist:
    """Archives orders whose group ended, or which without one ended or were paid for, `age_ms` ago.

    It forgets limits per buyer as long after the end of their deal. No group outlives its deal by 7 days, and
    the audit counts no units of a deal from then on, so `age_ms` is that or more.

    Any number of processes may have one.
    """

    def __init__(self, pool: asyncpg.Pool, *, age_ms: int) -> None:
        self._pool = pool
        self._age_ms = age_ms
        self._group_setbacks = Setbacks(pool, "archive")
        self._order_setbacks = Setbacks(pool, "solo orders")
        self._deal_setbacks = Setbacks(pool, "limits")

    async def may_begin(self) -> bool:
        """Says whether every process that runs by now finds orders in the archive."""
        return await store.is_known_everywhere(self._pool, release_ms=RELEASE_MS)

    async def archive_groups(self, limit: int) -> int:
        """Moves up to `limit` orders of groups; returns how many groups and orders it was done with."""
        group_ids = await store.groups_to_archive(self._pool, age_ms=self._age_ms, limit=GROUPS_PER_BATCH)
        return await self._group_setbacks.each(group_ids, partial(self._archive_some_groups, limit=limit))

    async def archive_solo_orders(self, limit: int) -> int:
        """Moves up to `limit` orders without a group; returns how many."""
        order_ids = await store.solo_orders_to_archive(self._pool, age_ms=self._age_ms, limit=limit)
        return await self._order_setbacks.each(order_ids, self._archive_some_orders)

    async def forget_limits(self, limit: int) -> int:
        """Forgets what up to `limit` buyers have of each of a few deals that ended; returns how many rows."""
        deal_ids = await store.deals_to_forget(self._pool, age_ms=self._age_ms, limit=DEALS_PER_BATCH)
        forget = partial(self._forget_some_limits, limit=limit)
        return sum([await self._deal_setbacks.each([deal_id], forget) for deal_id in deal_ids])

    def second_tries(self) -> dict[str, Work]:
        """Returns how what could not be archived or forgotten is tried again."""
        return {
            "archive": partial(self._archive_some_groups, limit=ROWS_PER_SECOND_TRY),
            "solo orders": self._archive_some_orders,
            "limits": partial(self._forget_some_limits, limit=ROWS_PER_SECOND_TRY),
        }

    async def _archive_some_groups(self, group_ids: Sequence[str], *, limit: int) -> int:
        groups, orders = await retry_serialization(lambda: self._archive_groups(group_ids, limit))
        if orders:
            _logger.debug("orders archived", orders=orders)
        return groups + orders

    async def _archive_some_orders(self, order_ids: Sequence[str]) -> int:
        orders = await retry_serialization(lambda: self._archive_solo_orders(order_ids))
        if orders:
            _logger.debug("solo orders archived", orders=orders)
        return orders

    async def _forget_some_limits(self, deal_ids: Sequence[str], *, limit: int) -> int:
        return sum(
            [await retry_serialization(partial(self._forget_limits, deal_id, limit)) for deal_id in deal_ids]
        )

    async def _forget_limits(self, deal_id: str, limit: int) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            if not await store.lock_deal_to_forget(connection, deal_id, age_ms=self._age_ms):
                return 0
            buyers = await store.forget_units(connection, deal_id, limit=limit)
            if buyers == limit:
                return buyers
            await store.end_forgetting(connection, deal_id)
            return buyers + 1

    async def _archive_groups(self, wanted: Sequence[str], limit: int) -> tuple[int, int]:
        async with self._pool.acquire() as connection, connection.transaction():
            group_ids = await store.lock_groups_to_archive(connection, wanted, age_ms=self._age_ms)
            if not group_ids:
                return 0, 0
            order_ids = await store.lock_orders_of_groups(connection, group_ids, limit=limit)
            # In a statement of its own, which sees what was committed before the locks were there.
            orders = await store.archive_orders(connection, order_ids)
            if len(order_ids) == limit:
                return 0, orders
            await store.end_archiving(connection, group_ids)
            return len(group_ids), orders

    async def _archive_solo_orders(self, wanted: Sequence[str]) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            order_ids = await store.lock_solo_orders(connection, wanted, age_ms=self._age_ms)
            return await store.archive_orders(connection, order_ids)
