"""Processes that die while units move between lanes, and where the units are then."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import asyncpg
from redis.asyncio import Redis

from groups.engine import REQUEST_TTL_MS
from groups.errors import Overloaded
from groups.inspection import differences_of_lane
from groups.keys import Lane
from groups.lane_store import LaneStore
from tests.interleaving import LaneMemory, warm
from tests.market import Market


class Died(BaseException):
    """What a process meets that is killed; nothing catches it."""


class MortalStore(LaneStore):
    """The store of a process that dies before or after one call; `dies_at` is None once it has."""

    def __init__(self, redis_url: str, *, dies_at: tuple[str, str] | None = None) -> None:
        super().__init__(redis_url, rates=None, request_ttl_ms=REQUEST_TTL_MS)
        self.dies_at = dies_at
        self.fails = False

    async def take_units(self, lane: Lane, epoch: int, transfer_id: str, units: int) -> int:
        return await self._mortal("take", super().take_units(lane, epoch, transfer_id, units))

    async def give_units(self, lane: Lane, epoch: int, transfer_id: str, units: int) -> int:
        return await self._mortal("give", super().give_units(lane, epoch, transfer_id, units))

    async def _mortal(self, step: str, call: Coroutine[Any, Any, int]) -> int:
        if self.fails or self.dies_at == ("before", step):
            call.close()
            if self.fails:
                raise Overloaded("Redis does not answer")
            raise Died
        answer = await call
        if self.dies_at == ("after", step):
            raise Died
        return answer


async def stock(market: Market, deal: str, lanes: int = 2) -> list[int]:
    return [(await market.lane(deal, no))["stock_units"] for no in range(lanes)]


async def left_in_redis(redis: Redis, deal: str, lanes: int = 2) -> list[int]:
    return [await LaneMemory.of(redis, deal, no).units_left() for no in range(lanes)]


async def open_transfers(pool: asyncpg.Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM stock_transfers")
    return count


async def raise_epoch(pool: asyncpg.Pool, deal: str, lane_no: int) -> None:
    """Makes a lane cold, as a change of its deal does."""
    await pool.execute(
        "UPDATE lanes SET epoch = epoch + 1 WHERE deal_id = $1 AND lane_no = $2", deal, lane_no
    )


async def warm_deal(market: Market, redis_url: str, *, stock: int = 20) -> tuple[str, list[int]]:
    """A deal of two warm lanes, and their epochs."""
    deal = await market.deal(stock=stock, lanes=2)
    return deal, [await warm(market.pool, redis_url, deal, no) for no in range(2)]


async def differences(pool: asyncpg.Pool, store: LaneStore, deal: str, lanes: int = 2) -> list[Any]:
    """What Redis and Postgres say differently of the deal's warm lanes."""
    found = [await differences_of_lane(pool, store, Lane(deal, no)) or () for no in range(lanes)]
    return [difference for lane in found for difference in lane]
