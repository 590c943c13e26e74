"""Moves units between the lanes of a deal, so that nobody hears `sold_out` while units are left anywhere."""

from __future__ import annotations

import asyncio
import functools

import asyncpg

from groups.cache import BoundedCache
from groups.keys import Lane
from sql import load_queries
from sql.retry import retry_serialization

LANES = load_queries("lanes")
DEALS_CACHED_MAX = 10_000
# A deal that is sold out is asked about by everybody; for this long one answer serves all.
LEFT_KNOWN_S = 0.025


class StockMover:
    """Finds units in other lanes. Postgres moves them; the raised epochs make Redis learn of it."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        # By deal: until when, by the loop's clock, and how many units all its lanes have left.
        self._left: BoundedCache[str, tuple[float, int]] = BoundedCache(DEALS_CACHED_MAX)

    async def gather(self, lane: Lane, units: int) -> bool:
        """Moves what the deal's other lanes have left into `lane`, if `units` are to be had at all.

        Returns whether the lane has them now, by Postgres; its Redis state is then cold.
        """
        now_s = asyncio.get_running_loop().time()
        known = self._left.get(lane.deal_id)
        if known is not None and now_s < known[0] and known[1] < units:
            return False
        left = await retry_serialization(functools.partial(self._gather, lane, units))
        self._left.put(lane.deal_id, (now_s + LEFT_KNOWN_S, left))
        return left >= units

    async def _gather(self, lane: Lane, units: int) -> int:
        """Returns the units that all lanes of the deal have left."""
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(LANES["lock_lanes_of_deal"], lane.deal_id)
            left = {row["lane_no"]: row["units_left"] for row in rows}
            if left[lane.lane_no] < units <= sum(left.values()):
                await connection.execute(LANES["gather_units"], lane.deal_id, lane.lane_no)
            return sum(left.values())
