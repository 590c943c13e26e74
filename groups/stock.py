"""Finds units in whichever lane of a deal they are, so that nobody hears `sold_out` while some are left.

A join that no lane has units for gathers them in its own lane; workers keep the lanes even, so that this is
rare. Lanes stay warm all the while: units are taken and given in Redis (`transfers.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import asyncpg

from groups.cache import BoundedCache
from groups.errors import Overloaded
from groups.keys import Lane
from groups.lane_store import LaneStore
from groups.looks import outlived
from groups.setbacks import STORE_AWAY, Setbacks
from groups.transfers import Carrier
from sql import load_queries

TRANSFERS = load_queries("groups.queries", "transfers")
DEALS_CACHED_MAX = 10_000
# A deal that is sold out is asked about by everybody; for this long one answer serves all.
LEFT_KNOWN_S = 0.025
# Others who move units of the deal are waited for: those of this process, and those of others.
TURN_WAIT_S = 2.0
LOCK_WAIT_S = 2.0
LOCK_POLL_S = 0.01
DEALS_PER_PAGE = 100
PAGES_MAX = 1_000

_UNREACHABLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_log = logging.getLogger("groups.stock")


@dataclass(frozen=True, slots=True)
class Survey:
    """A deal's lanes: each one's epoch by its number, its units left, and which lanes Redis holds.

    A lane whose Redis does not answer is only in `epochs`.
    """

    epochs: dict[int, int]
    left: dict[int, int] = field(default_factory=dict)
    warm: set[int] = field(default_factory=set)

    @property
    def is_partial(self) -> bool:
        return len(self.left) < len(self.epochs)


class StockMover:
    """Moves units between lanes: where a join needs them, and where few are left."""

    def __init__(self, pool: asyncpg.Pool, store: LaneStore) -> None:
        self._pool = pool
        self._store = store
        self._carrier = Carrier(store)
        self._setbacks = Setbacks(pool, "stock")
        # By deal: until when, by the loop's clock, and how many units all its lanes have left.
        self._left: BoundedCache[str, tuple[float, int]] = BoundedCache(DEALS_CACHED_MAX)
        # Only one task of this process at a time moves units of a deal; the others profit by it.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._gathered: BoundedCache[Lane, int] = BoundedCache(DEALS_CACHED_MAX)

    async def gather(self, lane: Lane, units: int) -> bool:
        """Moves units from the deal's other lanes into `lane`, if `units` are to be had at all.

        Returns false when all lanes together have fewer. True means that another try is worth it: others may
        have been faster. Raises Overloaded when a store does not answer.
        """
        seen = self._gathered.get(lane)
        turn = self._turns.setdefault(lane.deal_id, asyncio.Lock())
        try:
            async with asyncio.timeout(TURN_WAIT_S):
                await turn.acquire()
            try:
                if self._knows_of_fewer(lane.deal_id, units):
                    return False
                if self._gathered.get(lane) != seen:
                    return True
                return await self._gather_alone(lane, units)
            finally:
                turn.release()
        except _UNREACHABLE as error:
            raise Overloaded(f"the deal's units could not be gathered: {error!r}") from error

    async def _gather_alone(self, lane: Lane, units: int) -> bool:
        clock = asyncio.get_running_loop().time
        give_up_at_s = clock() + LOCK_WAIT_S
        while True:
            async with self._right_to_move(lane.deal_id) as connection:
                if connection is not None:
                    return await self._gather(connection, lane, units)
            if clock() > give_up_at_s:
                raise Overloaded("somebody else moves units of the deal, try again")
            await asyncio.sleep(LOCK_POLL_S)

    def _knows_of_fewer(self, deal_id: str, units: int) -> bool:
        known = self._left.get(deal_id)
        return known is not None and asyncio.get_running_loop().time() < known[0] and known[1] < units

    async def _gather(self, connection: Any, lane: Lane, units: int) -> bool:
        waiting = await self._carrier.finish(connection, lane.deal_id)
        survey = await self._survey(connection, lane.deal_id)
        total = sum(survey.left.values())
        if lane.lane_no not in survey.left or (total < units and survey.is_partial):
            raise Overloaded("not every lane of the deal can be asked for units, try again")
        if total < units:
            if waiting & survey.warm:
                # Made warm between two looks, such a lane may have a state from before its units came.
                return True
            until_s = asyncio.get_running_loop().time() + LEFT_KNOWN_S
            self._left.put(lane.deal_id, (until_s, total))
            return False
        for from_no, wanted in plan_gathering(survey.left, lane.lane_no, units):
            await self._carry(connection, survey, lane.deal_id, from_no, lane.lane_no, wanted)
        self._gathered.put(lane, (self._gathered.get(lane) or 0) + 1)
        return True

    async def even_out(self) -> int:
        """Moves units to lanes that run low, in every deal, and finishes what others left.

        Returns how many transfers got to their end. A deal whose lanes cannot be reached delays no other.
        """
        carried, after = 0, ""
        for _ in range(PAGES_MAX):
            rows = await self._pool.fetch(TRANSFERS["uneven_deals"], after, DEALS_PER_PAGE)
            failures: dict[str, Exception] = {}
            for row in rows:
                try:
                    carried += await self._even_out_deal(row["id"])
                except Overloaded as error:
                    _log.warning("units of deal %s are moved later: %s", row["id"], error)
                except STORE_AWAY:
                    raise
                except Exception as error:  # noqa: BLE001 - it is noted, and the other deals go on.
                    failures[row["id"]] = error
            await self._setbacks.note(failures)
            if len(rows) < DEALS_PER_PAGE:
                break
            after = rows[-1]["id"]
        return carried

    async def even_out_deals(self, deal_ids: Sequence[str]) -> int:
        """Does so in each of the deals; raises what stands in the way."""
        return sum([await self._even_out_deal(deal_id) for deal_id in deal_ids])

    async def _even_out_deal(self, deal_id: str) -> int:
        async with self._right_to_move(deal_id) as connection:
            if connection is None:
                return 0
            await self._carrier.finish(connection, deal_id)
            survey = await self._survey(connection, deal_id)
            moves = plan_evening(survey.left) if survey.left else []
            for from_no, to_no, units in moves:
                await self._carry(connection, survey, deal_id, from_no, to_no, units)
            return len(moves)

    async def _carry(
        self, connection: Any, survey: Survey, deal_id: str, from_no: int, to_no: int, units: int
    ) -> None:
        from_lane, to_lane = Lane(deal_id, from_no), Lane(deal_id, to_no)
        try:
            await self._carrier.carry(
                connection, from_lane, to_lane, from_epoch=survey.epochs[from_no], units=units
            )
        except Overloaded as error:
            _log.warning("units from %s to %s come later: %s", from_lane, to_lane, error)

    async def _survey(self, connection: Any, deal_id: str) -> Survey:
        """Asks Redis, which knows of seats on their way to Postgres; and Postgres of lanes that are cold."""
        rows = await connection.fetch(TRANSFERS["lanes_left"], deal_id)
        found = await asyncio.gather(
            *(self._store.units_left(Lane(deal_id, row["lane_no"]), row["epoch"]) for row in rows),
            return_exceptions=True,
        )
        survey = Survey(epochs={row["lane_no"]: row["epoch"] for row in rows})
        for row, left in zip(rows, found, strict=True):
            if isinstance(left, Overloaded):
                _log.warning(
                    "lane %d of deal %s cannot be asked for units: %s", row["lane_no"], deal_id, left
                )
                continue
            if isinstance(left, BaseException):
                raise left
            survey.left[row["lane_no"]] = row["units_left"] if left is None else left
            if left is not None:
                survey.warm.add(row["lane_no"])
        return survey

    @asynccontextmanager
    async def _right_to_move(self, deal_id: str) -> AsyncIterator[Any]:
        """Lends a connection that holds the deal's stock lock; None while somebody else has it."""
        async with self._pool.acquire() as connection:
            if not await connection.fetchval(TRANSFERS["try_stock_lock"], deal_id):
                yield None
                return
            try:
                yield connection
            finally:
                try:
                    release = connection.execute(TRANSFERS["release_stock_lock"], deal_id)
                    await outlived(asyncio.ensure_future(release))
                except BaseException:
                    # The lock ends with its session, and must not go back to the pool with it.
                    connection.terminate()
                    raise


def plan_gathering(left: Mapping[int, int], lane_no: int, units: int) -> list[tuple[int, int]]:
    """Returns (lane, units) to take so that `lane_no` has `units`, or its even share where that is more.

    The fullest lanes give first, so that few have to.
    """
    missing = max(units, sum(left.values()) // len(left)) - left[lane_no]
    moves = []
    for from_no in sorted((no for no in left if no != lane_no), key=lambda no: (-left[no], no)):
        given = min(missing, left[from_no])
        if given <= 0:
            break
        moves.append((from_no, given))
        missing -= given
    return moves


def plan_evening(left: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """Returns (from lane, to lane, units) by which lanes below half an even share get the whole of it.

    No lane gives more than the units it has above that, so that nothing ever moves back.
    """
    share = sum(left.values()) // len(left)
    above = {no: units - share for no, units in left.items() if units > share}
    moves = []
    for to_no in sorted(
        (no for no, units in left.items() if 2 * units < share), key=lambda no: (left[no], no)
    ):
        missing = share - left[to_no]
        for from_no in sorted(above, key=lambda no: (-above[no], no)):
            given = min(missing, above[from_no])
            if given <= 0:
                break
            moves.append((from_no, to_no, given))
            above[from_no] -= given
            missing -= given
    return moves
