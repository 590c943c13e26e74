"""Joins that arrive while a lane's batch is under way leave together in the next one.

The cost of a join therefore falls as the load rises: one script call and one statement serve the whole batch.
There is one runner per lane and process; its task exists only while there is something to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from groups.errors import GroupsError, Overloaded
from groups.keys import Lane
from groups.lane_store import Confirmations, LaneCold, LaneStore, PlaceResult
from groups.listeners import Listeners, Stage
from groups.placement import Placement, Recorded, Seat, item_of, refusal_of, seat_of
from groups.rebuild import Rebuilder
from groups.record import LaneLied, Recorder, Verdicts

BATCH_MAX = 256
# A batch has a fixed cost, whatever its size. Where joins come faster than batches are done, waiting joins
# take in those that arrive within this time. A join into a quiet lane leaves at once.
GATHER_S = 0.003
# This many joins share the cost of a batch well enough. They wait only for joins that have arrived and were
# not read yet, which takes a few turns of the loop.
GATHER_MAX = 48
GATHER_TURNS_MAX = 16
QUEUE_MAX = 4_096
# Once for a cold lane, once more when the rebuilt state went cold meanwhile, and once to end on.
PLACE_ATTEMPTS_MAX = 4
# One buyer's calls leave one by one; more of them than this would only keep others out of the queue.
QUEUED_PER_BUYER_MAX = 64
# Commits are told to the lane with its next batch, or by themselves after this time. It is much less than the
# time after which an unconfirmed seat counts as an orphan.
CONFIRM_AFTER_S = 1.0
# How often refusals that a merchant can lift are checked against the lane's epoch in Postgres.
REFUSALS_CHECKED_EVERY_S = 0.025
_LIFTED_BY_MERCHANTS = frozenset({"deal_not_active", "sold_out"})

_log = logging.getLogger("groups.combiner")


class UnknownGroup(GroupsError):
    """The lane keeps no such group; Postgres knows more."""


class RememberedRequest(GroupsError):
    """The request was recorded earlier and its seat is no longer in the lane's memory."""


Outcome: TypeAlias = Recorded | Exception
OnOutcome: TypeAlias = Callable[[Outcome], None]


class Waiting(msgspec.Struct, frozen=True, eq=False):
    """A placement and the callback for its outcome; `caller` names the caller's trace, if it has one."""

    placement: Placement
    tell: OnOutcome
    queued_at_s: float
    caller: object | None


@dataclass(frozen=True, slots=True)
class Tools:
    """The dependencies that every lane's runner shares."""

    store: LaneStore
    recorder: Recorder
    rebuilder: Rebuilder
    listeners: Listeners


class LaneRunner:
    """Drives one lane's batches. `epoch` is what this process believes the lane to be at."""

    def __init__(self, lane: Lane, epoch: int, tools: Tools) -> None:
        self.lane = lane
        self.epoch = epoch
        self._tools = tools
        self._queue: deque[Waiting] = deque()
        self._queued_of: dict[str, int] = {}
        self._check_refusals_at_s = 0.0
        self._confirmed = Confirmations()
        self._confirm_timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        return self._task is None and not self._confirmed

    def submit(self, placement: Placement, tell: OnOutcome) -> None:
        """Queues a placement; `tell` is called once, with its outcome.

        It is called between two of the lane's batches, so it must return at once and not raise.

        Raises Overloaded when `QUEUE_MAX` callers wait already, or `QUEUED_PER_BUYER_MAX` of this buyer.
        """
        if len(self._queue) >= QUEUE_MAX:
            raise Overloaded("too many joins are waiting for this deal")
        queued = self._queued_of.get(placement.buyer_id, 0)
        if queued >= QUEUED_PER_BUYER_MAX:
            raise Overloaded("too many joins of this buyer are waiting")
        self._queued_of[placement.buyer_id] = queued + 1
        loop = asyncio.get_running_loop()
        self._queue.append(Waiting(placement, tell, loop.time(), self._tools.listeners.tracer.caller()))
        if self._task is None:
            self._start()

    async def drained(self) -> None:
        """Returns once nothing is queued or under way, and the lane has been told of its commits."""
        while self._task is not None:
            await asyncio.wait([self._task])
        if self._confirm_timer is not None:
            self._confirm_timer.cancel()
        await self._flush_confirmations()

    def _start(self) -> None:
        # A context of its own: a batch serves many callers and must not log as the first of them.
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name=f"lane {self.lane.deal_id}:{self.lane.lane_no}", context=Context()
        )

    async def _run(self) -> None:
        try:
            if not self._queue:
                await self._flush_confirmations()
            while self._queue:
                batch = self._take_batch()
                try:
                    await self._see_through(batch)
                except Exception as error:  # noqa: BLE001 - every waiting caller gets it, whatever it is
                    for waiting in batch:
                        waiting.tell(error)
                await self._gather()
        finally:
            self._task = None
            if self._confirmed and self._confirm_timer is None:
                loop = asyncio.get_running_loop()
                self._confirm_timer = loop.call_later(CONFIRM_AFTER_S, self._confirm)

    async def _gather(self) -> None:
        """Lets others join those who wait: for a while where they are few, else as long as more come."""
        if 0 < len(self._queue) < GATHER_MAX:
            await asyncio.sleep(GATHER_S)
        for _ in range(GATHER_TURNS_MAX):
            waiting = len(self._queue)
            if not GATHER_MAX <= waiting < BATCH_MAX:
                return
            await asyncio.sleep(0)
            if len(self._queue) == waiting:
                return

    def _confirm(self) -> None:
        """Has confirmations that no batch took along travel alone; a batch under way may yet be followed."""
        self._confirm_timer = None
        if self._task is None and self._confirmed:
            self._start()

    def _take_batch(self) -> list[Waiting]:
        """Takes up to `BATCH_MAX` of the queue, each buyer at most once: limits are counted one by one."""
        batch: list[Waiting] = []
        deferred: list[Waiting] = []
        buyers: set[str] = set()
        while self._queue and len(batch) < BATCH_MAX:
            waiting = self._queue.popleft()
            if waiting.placement.buyer_id in buyers:
                deferred.append(waiting)
                continue
            buyers.add(waiting.placement.buyer_id)
            batch.append(waiting)
            self._forget_queued(waiting.placement.buyer_id)
        self._queue.extendleft(reversed(deferred))
        return batch

    def _forget_queued(self, buyer_id: str) -> None:
        left = self._queued_of[buyer_id] - 1
        if left:
            self._queued_of[buyer_id] = left
        else:
            del self._queued_of[buyer_id]

    async def _see_through(self, batch: list[Waiting]) -> None:
        """Settles a batch before the eyes of those who listen."""
        listeners = self._tools.listeners
        listeners.on_batch(len(batch))
        # The first has waited longest, for nothing overtakes it.
        listeners.on_stage("queue", asyncio.get_running_loop().time() - batch[0].queued_at_s)
        callers = [waiting.caller for waiting in batch if waiting.caller is not None]
        with listeners.tracer.batch(len(batch), callers):
            await self._settle_batch(batch)

    @contextmanager
    def _stage(self, stage: Stage) -> Iterator[None]:
        clock = asyncio.get_running_loop().time
        started_s = clock()
        try:
            with self._tools.listeners.tracer.stage(stage):
                yield
        finally:
            self._tools.listeners.on_stage(stage, clock() - started_s)

    async def _settle_batch(self, batch: list[Waiting]) -> None:
        """Places and records a batch, again after a rebuild where the lane turned out cold or wrong."""
        own_orders: set[str] = set()
        for _ in range(PLACE_ATTEMPTS_MAX):
            try:
                results = await self._place(batch)
                _recognise(results, own_orders)
                await self._check_refusals(results)
                await self._record(batch, results)
            except LaneCold:
                self.epoch = await self._tools.rebuilder.warm(self.lane)
            except LaneLied as error:
                _log.warning("lane %s rebuilt because a constraint refused its batch: %s", self.lane, error)
                self.epoch = await self._tools.rebuilder.warm(self.lane, distrusted_epoch=self.epoch)
            else:
                return
        raise Overloaded("the deal is being made ready, try again")

    async def _check_refusals(self, results: list[PlaceResult]) -> None:
        """Raises LaneCold when Redis refused by terms that a merchant has changed since.

        Seats given out by old terms are fenced when they are recorded, but a refusal is never recorded. The
        epoch is therefore asked for, at most every `REFUSALS_CHECKED_EVERY_S`.
        """
        now_s = asyncio.get_running_loop().time()
        if now_s < self._check_refusals_at_s:
            return
        if not any(result[0] in _LIFTED_BY_MERCHANTS for result in results):
            return
        self._check_refusals_at_s = now_s + REFUSALS_CHECKED_EVERY_S
        try:
            epoch = await self._tools.rebuilder.epoch_of(self.lane)
        except Overloaded as error:
            _log.info("refusals of lane %s stand unchecked: %s", self.lane, error)
            return
        if epoch > self.epoch:
            raise LaneCold

    async def _place(self, batch: list[Waiting]) -> list[PlaceResult]:
        confirmed, self._confirmed = self._confirmed, Confirmations()
        items = [item_of(waiting.placement) for waiting in batch]
        with self._stage("script"):
            return await self._tools.store.place(self.lane, self.epoch, items, confirmed)

    async def _record(self, batch: list[Waiting], results: list[PlaceResult]) -> None:
        seats: list[Seat] = []
        seated: dict[str, Waiting] = {}
        for waiting, result in zip(batch, results, strict=True):
            if result[0] in ("placed", "replayed"):
                seat = seat_of(waiting.placement, self.lane.lane_no, result)
                seats.append(seat)
                seated[seat.order_id] = waiting
        verdicts = Verdicts()
        if seats:
            with self._stage("record"):
                verdicts = await self._tools.recorder.record(seats, epoch=self.epoch)
        for waiting, result in zip(batch, results, strict=True):
            if result[0] not in ("placed", "replayed"):
                waiting.tell(_reason(result))
        await self._tell_lane(verdicts)
        for order_id, recorded in verdicts.recorded.items():
            seated[order_id].tell(recorded)
        for order_id, refusal in verdicts.refused.items():
            seated[order_id].tell(refusal)
        if verdicts.written_count:
            self._tools.listeners.on_recorded(verdicts.written_count)
            groups = {seat.group_id for seat in seats if seat.order_id in verdicts.recorded}
            self._tools.listeners.on_changed([group_id for group_id in groups if group_id is not None])

    async def _tell_lane(self, verdicts: Verdicts) -> None:
        """Gives refused seats back and closes closed groups; the reconciler mends what Redis misses here.

        A request that Redis had forgotten is remembered from now on.
        """
        self._confirmed.order_ids += [
            order_id for order_id, recorded in verdicts.recorded.items() if recorded.order_id == order_id
        ]
        self._confirmed.groups += [
            (group.group_id, int(group.deadline.timestamp() * 1000)) for group in verdicts.groups.values()
        ]
        try:
            if verdicts.known_requests:
                await self._tools.store.remember_known(self.lane, verdicts.known_requests)
            if verdicts.released:
                items = [
                    ("abandon", seat.order_id, seat.placement.request_id.hex()) for seat in verdicts.released
                ]
                await self._tools.store.leave(self.lane, self.epoch, items)
            if verdicts.closed_groups:
                await self._tools.store.close_groups(
                    self.lane, self.epoch, list(verdicts.closed_groups.items())
                )
        except (LaneCold, Overloaded) as error:
            _log.info("lane %s was not told of %d releases: %r", self.lane, len(verdicts.released), error)

    async def _flush_confirmations(self) -> None:
        if not self._confirmed:
            return
        confirmed, self._confirmed = self._confirmed, Confirmations()
        try:
            await self._tools.store.confirm(self.lane, self.epoch, confirmed)
        except (LaneCold, Overloaded) as error:
            _log.info("lane %s was not told of %d commits: %r", self.lane, len(confirmed.order_ids), error)


def _recognise(results: list[PlaceResult], own_orders: set[str]) -> None:
    """Tells seats that this batch was given in an earlier attempt from those of an earlier call.

    A lane that only its deal's change made cold keeps its seats (`configure.lua`), and so knows them by now.
    """
    for result in results:
        if result[0] == "placed":
            own_orders.add(result[1])
        elif result[0] == "replayed" and result[1] in own_orders:
            result[0] = "placed"


def _reason(result: PlaceResult) -> GroupsError:
    if result[0] == "unknown_group":
        return UnknownGroup(result[0])
    if result[0] == "remembered":
        return RememberedRequest(result[0])
    return refusal_of(result)
