"""Finds the lane for a placement, waits for its outcome, and answers what only Postgres remembers."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from hashlib import blake2b

import asyncpg
import msgspec

from groups.cache import BoundedCache
from groups.combiner import LaneRunner, OnOutcome, Outcome, RememberedRequest, Tools, UnknownGroup
from groups.errors import (
    AlreadyJoined,
    DealNotFound,
    GroupClosed,
    GroupFull,
    GroupNotFound,
    GroupsError,
    IdempotencyInFlight,
    IdempotencyKeyReused,
    Overloaded,
    Refused,
    SoldOut,
    TryAgain,
)
from groups.keys import Lane
from groups.lane_store import LaneStore
from groups.listeners import Listeners
from groups.looks import SharedLooks
from groups.placement import Placement, Recorded
from groups.rebuild import Rebuilder
from groups.record import Recorder
from groups.stock import StockMover
from sql import load_queries

LANES = load_queries("groups.queries", "lanes")
PLACEMENTS = load_queries("groups.queries", "placements")
DEALS_CACHED_MAX = 10_000
GROUPS_CACHED_MAX = 100_000
RUNNERS_MAX = 10_000
GATHERS_MAX = 8
PLACE_TIMEOUT_S = 8.0
# Auto-placement goes on from a group that closed under way; each time the lane knows of one more.
GROUPS_TRIED_MAX = 4

_log = logging.getLogger("groups.desk")


class PlacementDesk:
    """Places buyers and answers with a durable order, or a refusal from `groups.errors`."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        store: LaneStore,
        rebuilder: Rebuilder,
        *,
        hold_ms: int,
        listeners: Listeners,
        recording_pool: asyncpg.Pool | None = None,
    ) -> None:
        self._pool = pool
        self._rebuilder = rebuilder
        self._stock = StockMover(pool, store)
        recorder = Recorder(pool, hold_ms=hold_ms, recording_pool=recording_pool)
        self._tools = Tools(store, recorder, rebuilder, listeners)
        self._runners: dict[Lane, LaneRunner] = {}
        self._looks = SharedLooks()
        self._lane_counts: BoundedCache[str, int] = BoundedCache(DEALS_CACHED_MAX)
        self._lanes_of_groups: BoundedCache[str, Lane] = BoundedCache(GROUPS_CACHED_MAX)

    async def close(self) -> None:
        """Lets every batch under way finish, for as long as its callers would wait."""
        drains = [asyncio.create_task(runner.drained()) for runner in self._runners.values()]
        if drains:
            await asyncio.wait(drains, timeout=PLACE_TIMEOUT_S)

    async def lane_of_group(self, group_id: str) -> Lane:
        """Returns the lane that a group belongs to, which never changes; raises GroupNotFound."""
        lane = self._lanes_of_groups.get(group_id)
        if lane is None:
            lane = await self._looks.share(group_id, partial(self._look_for_group, group_id))
        return lane

    async def _look_for_group(self, group_id: str) -> Lane:
        row = await self._pool.fetchrow(LANES["lane_of_group"], group_id)
        if row is None:
            raise GroupNotFound(f"no group {group_id}")
        lane = Lane(row["deal_id"], row["lane_no"])
        self._lanes_of_groups.put(group_id, lane)
        self._lane_counts.put(lane.deal_id, row["lane_count"])
        self._keep_runner(lane, row["epoch"])
        return lane

    async def place(self, placement: Placement) -> Recorded:
        """Places one buyer; returns once the order is committed.

        Raises what `groups.errors` lists under Refused and TryAgain. After Overloaded the outcome may be
        unknown; the same call with the same key finds out and never places twice.
        """
        if placement.group_id is not None:
            return await self._place_in_group(placement, await self.lane_of_group(placement.group_id))
        lane_count = await self._lane_count(placement.deal_id)
        home = home_lane(placement.buyer_id, lane_count)
        lanes = [Lane(placement.deal_id, (home + offset) % lane_count) for offset in range(lane_count)]
        for asked, lane in enumerate(lanes, start=1):
            try:
                return await self._place_anywhere(placement, lane)
            except SoldOut:
                if asked < lane_count:
                    continue
                return await self._place_gathered(placement, lanes[0], lane_count)
            except Refused:
                seated_in = await self._lane_that_remembers(placement, lanes[asked:])
                if seated_in is None:
                    raise
                return await self._place_in_lane(placement, seated_in)
        raise DealNotFound(f"deal {placement.deal_id} has no lanes")

    def submit(self, placement: Placement, tell: OnOutcome) -> bool:
        """Queues a placement in the lane that `place` would ask first; `tell` gets that lane's outcome.

        Returns false, and does nothing, when the lane cannot be told without a wait. `tell` is called once,
        must return at once and not raise; whether a refusal it gets is final, `is_last_word` says.

        Raises Overloaded when too many wait for the lane.
        """
        if placement.group_id is not None:
            lane = self._lanes_of_groups.get(placement.group_id)
            if lane is None:
                return False
            placement = msgspec.structs.replace(placement, deal_id=lane.deal_id)
        else:
            lane_count = self._lane_counts.get(placement.deal_id)
            if lane_count is None:
                return False
            lane = Lane(placement.deal_id, home_lane(placement.buyer_id, lane_count))
        runner = self._runners.get(lane)
        if runner is None:
            return False
        runner.submit(placement, tell)
        return True

    def is_last_word(self, placement: Placement, refusal: GroupsError) -> bool:
        """Says whether `place` would end with this refusal, too, once the first lane has spoken it."""
        if isinstance(refusal, TryAgain):
            return True
        if not isinstance(refusal, Refused):
            return False
        if placement.group_id is None:
            # Other lanes may have room, or remember the request; and closed groups turn nobody away.
            is_only_lane = self._lane_counts.get(placement.deal_id) == 1
            return is_only_lane and not (
                placement.verb == "best" and isinstance(refusal, GroupClosed | GroupFull)
            )
        lane = self._lanes_of_groups.get(placement.group_id)
        is_only_lane = lane is not None and self._lane_counts.get(lane.deal_id) == 1
        return is_only_lane or not isinstance(refusal, SoldOut)

    async def _place_anywhere(self, placement: Placement, lane: Lane) -> Recorded:
        """Places a buyer who asked for no group in particular, so that a closed one turns nobody away."""
        for _ in range(GROUPS_TRIED_MAX):
            try:
                return await self._place_in_lane(placement, lane)
            except (GroupClosed, GroupFull) as error:
                _log.info("auto-placement in lane %s goes on: %s", lane, error)
        raise Overloaded("one group after another has closed, try again")

    async def _place_gathered(self, placement: Placement, lane: Lane, lane_count: int) -> Recorded:
        """Places into a lane that has too few units, with those that other lanes have left.

        Raises SoldOut when all lanes together have too few, and Overloaded when others were faster
        `GATHERS_MAX` times.
        """
        place = self._place_anywhere if placement.group_id is None else self._place_in_lane
        if lane_count == 1:
            raise SoldOut("the deal has fewer units left than the order asks for")
        for _ in range(GATHERS_MAX):
            if not await self._stock.gather(lane, placement.quantity):
                raise SoldOut("the deal has fewer units left than the order asks for")
            try:
                return await place(placement, lane)
            except SoldOut:
                _log.info("units gathered in lane %s were taken by others", lane)
        raise Overloaded("others take the last units as they are found, try again")

    async def _lane_that_remembers(self, placement: Placement, lanes: list[Lane]) -> Lane | None:
        """Finds the request in lanes not asked yet, where it may have gone when stock was short.

        A lane that Redis lost is rebuilt first, once for all who ask: it forgot its requests, too.
        """
        request_id = placement.request_id.hex()
        for lane in lanes:
            found = await self._tools.store.remembers(lane, request_id)
            if found is None:
                await self._looks.share(("warm", lane), partial(self._rebuilder.warm, lane))
                found = await self._tools.store.remembers(lane, request_id)
            if found is None:
                raise Overloaded("the deal is being made ready, try again")
            if found:
                return lane
        return None

    async def deal_changed(self, deal_id: str) -> None:
        """Gives the new terms to lanes that Redis holds, and makes them cold for processes with the old ones.

        Raises DealNotFound, and Overloaded when a lane could not be made ready in time.
        """
        for lane_no in range(await self._lane_count(deal_id)):
            lane = Lane(deal_id, lane_no)
            if await self._tools.store.holds(lane):
                await self._rebuilder.warm(lane)

    async def _place_in_group(self, placement: Placement, lane: Lane) -> Recorded:
        placement = msgspec.structs.replace(placement, deal_id=lane.deal_id)
        try:
            return await self._place_by_link(placement, lane)
        except UnknownGroup:
            epoch = await self._verdict_of_unknown(placement, lane)
        await self._rebuilder.warm(lane, distrusted_epoch=epoch)
        try:
            return await self._place_by_link(placement, lane)
        except UnknownGroup as error:
            raise Overloaded("the group is being made ready, try again") from error

    async def _place_by_link(self, placement: Placement, lane: Lane) -> Recorded:
        """Places into the group's lane; takes units from other lanes if it has too few.

        Raises UnknownGroup if the lane does not keep the group. That can happen while units are gathered: the
        group ends, and the lane is rebuilt.
        """
        try:
            return await self._place_in_lane(placement, lane)
        except SoldOut:
            return await self._place_gathered(placement, lane, await self._lane_count(lane.deal_id))

    async def _verdict_of_unknown(self, placement: Placement, lane: Lane) -> int:
        """Refuses a join into a group its lane no longer keeps; else returns the epoch to distrust."""
        row = await self._pool.fetchrow(PLACEMENTS["group_verdict"], placement.group_id, placement.buyer_id)
        if row is None:
            raise GroupNotFound(f"no group {placement.group_id}")
        if row["order_id"] is not None:
            raise AlreadyJoined(row["order_id"])
        if row["status"] != "open" or row["overdue"]:
            if row["filled"]:
                raise GroupFull("every seat of the group is taken")
            raise GroupClosed("the group no longer takes anybody in")
        return await self._rebuilder.epoch_of(lane)

    async def _place_in_lane(self, placement: Placement, lane: Lane) -> Recorded:
        runner = self._runners.get(lane) or await self._start_runner(lane)
        answer: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
        runner.submit(placement, partial(_settle, answer))
        try:
            async with asyncio.timeout(PLACE_TIMEOUT_S):
                return await answer
        except TimeoutError as error:
            raise Overloaded("the placement took too long, try again with the same key") from error
        except RememberedRequest:
            return await self._recall(placement)

    async def _recall(self, placement: Placement) -> Recorded:
        row = await self._pool.fetchrow(PLACEMENTS["recorded_request"], placement.request_id)
        if row is None or row["abandoned"]:
            raise IdempotencyInFlight("the earlier request with this key is still being decided")
        if row["body_digest"] != placement.body_digest:
            raise IdempotencyKeyReused("the idempotency key was used with a different body")
        return Recorded(row["order_id"], replayed=True)

    async def _lane_count(self, deal_id: str) -> int:
        lane_count = self._lane_counts.get(deal_id)
        if lane_count is None:
            lane_count = await self._looks.share(deal_id, partial(self._look_for_deal, deal_id))
        return lane_count

    async def _look_for_deal(self, deal_id: str) -> int:
        lane_count: int | None = await self._pool.fetchval(LANES["lane_count"], deal_id)
        if lane_count is None:
            raise DealNotFound(f"no deal {deal_id}")
        self._lane_counts.put(deal_id, lane_count)
        return lane_count

    async def _start_runner(self, lane: Lane) -> LaneRunner:
        epoch = await self._looks.share(lane, partial(self._rebuilder.epoch_of, lane))
        return self._keep_runner(lane, epoch)

    def _keep_runner(self, lane: Lane, epoch: int) -> LaneRunner:
        """Returns the lane's runner, a new one if there is none; `epoch` is the lane's as of now."""
        runner = self._runners.get(lane)
        if runner is None:
            if len(self._runners) >= RUNNERS_MAX:
                self._runners = {known: runner for known, runner in self._runners.items() if not runner.idle}
            runner = self._runners[lane] = LaneRunner(lane, epoch, self._tools)
        return runner


def _settle(answer: asyncio.Future[Recorded], outcome: Outcome) -> None:
    """Hands an outcome over if its caller still waits; a caller that hung up does not end its batch."""
    if answer.done():
        return
    if isinstance(outcome, Recorded):
        answer.set_result(outcome)
    else:
        answer.set_exception(outcome)


def home_lane(buyer_id: str, lane_count: int) -> int:
    """The lane a buyer is placed in first: the same in every process."""
    if lane_count == 1:
        return 0
    return int.from_bytes(blake2b(buyer_id.encode(), digest_size=4).digest()) % lane_count
