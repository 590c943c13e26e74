"""The durable record: one statement for a batch of seats, and a verdict on every row it did not return."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from groups.errors import (
    AlreadyJoined,
    GroupClosed,
    GroupFull,
    GroupsError,
    IdempotencyInFlight,
    IdempotencyKeyReused,
    LimitReached,
    Overloaded,
)
from groups.lane_store import LaneCold
from groups.placement import CommittedGroup, Recorded, Seat
from sql import load_queries
from sql.retry import retry_serialization

QUERIES = load_queries("placements")
EPOCH_STALE = "PT001"
# A seat whose group another process is just writing is worth a short wait; in all about two seconds.
ROUND_WAITS_MS = (0, 10, 40, 150, 400, 600, 800)
RECORD_TIMEOUT_S = 3.0

_OUTCOME_UNKNOWN = (
    asyncpg.QueryCanceledError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    TimeoutError,
    OSError,
)


class LaneLied(Exception):
    """A constraint refused what Redis should have foreseen; its state of the lane cannot be trusted."""


@dataclass(slots=True)
class Verdicts:
    """What became of each seat, by order id."""

    recorded: dict[str, Recorded] = field(default_factory=dict)
    refused: dict[str, GroupsError] = field(default_factory=dict)
    # Refused for good, or recorded under another order: the seat goes back to the lane.
    released: list[Seat] = field(default_factory=list)
    groups: dict[str, CommittedGroup] = field(default_factory=dict)
    closed_groups: dict[str, str] = field(default_factory=dict)

    def settle(self, seat: Seat, outcome: Recorded | GroupsError, *, release: bool) -> None:
        if isinstance(outcome, Recorded):
            self.recorded[seat.order_id] = outcome
        else:
            self.refused[seat.order_id] = outcome
        if release:
            self.released.append(seat)


class Recorder:
    """Writes batches of seats to Postgres. `hold_ms` is how long an unpaid seat is kept."""

    def __init__(self, pool: asyncpg.Pool, *, hold_ms: int) -> None:
        self._pool = pool
        self._hold_ms = hold_ms

    async def record(self, seats: Sequence[Seat], *, epoch: int) -> Verdicts:
        """Records a lane's seats placed under `epoch` and says what became of each.

        Raises LaneCold when the lane is at another epoch and LaneLied when a constraint refused the batch; in
        both cases nothing was recorded and the batch must be placed again.
        """
        verdicts = Verdicts()
        open_seats = {seat.order_id: seat for seat in seats}
        for wait_ms in ROUND_WAITS_MS:
            if wait_ms:
                await asyncio.sleep(wait_ms * random.uniform(0.5, 1.0) / 1000)  # noqa: S311 - jitter only
            lost = await self._record_round(open_seats, epoch, verdicts)
            if open_seats:
                await self._classify(open_seats, verdicts, lost=lost)
            if not open_seats:
                return verdicts
        for seat in open_seats.values():
            verdicts.settle(seat, _undecided(seat), release=False)
        return verdicts

    async def _record_round(self, open_seats: dict[str, Seat], epoch: int, verdicts: Verdicts) -> bool:
        """Runs the statement once; returns true when its outcome is unknown, for it may have committed."""
        try:
            rows = await self._insert(list(open_seats.values()), epoch)
        except (asyncpg.CheckViolationError, asyncpg.UniqueViolationError) as error:
            raise LaneLied(str(error)) from error
        except asyncpg.LockNotAvailableError:
            return False
        except asyncpg.PostgresError as error:
            if error.sqlstate == EPOCH_STALE:
                raise LaneCold from error
            if not isinstance(error, _OUTCOME_UNKNOWN):
                raise
            return True
        except _OUTCOME_UNKNOWN:
            return True
        for row in rows:
            seat = open_seats.pop(row["id"])
            verdicts.recorded[seat.order_id] = Recorded(seat.order_id, replayed=seat.replayed)
            if seat.group_id is not None and seat.share_code is not None:
                verdicts.groups[seat.group_id] = CommittedGroup(seat.group_id, row["deadline"])
        return False

    async def _insert(self, seats: Sequence[Seat], epoch: int) -> list[asyncpg.Record]:
        columns = _columns(seats, epoch)
        return await retry_serialization(
            lambda: self._pool.fetch(
                QUERIES["record_placements"], *columns, self._hold_ms, timeout=RECORD_TIMEOUT_S
            )
        )

    async def _classify(self, open_seats: dict[str, Seat], verdicts: Verdicts, *, lost: bool) -> None:
        """Decides what it can about the seats left in `open_seats` and takes those out."""
        seats = list(open_seats.values())
        try:
            rows = await self._pool.fetch(
                QUERIES["classify_placements"],
                [seat.order_id for seat in seats],
                [seat.placement.request_id for seat in seats],
                [seat.placement.body_digest for seat in seats],
                [seat.group_id for seat in seats],
                timeout=RECORD_TIMEOUT_S,
            )
        except _OUTCOME_UNKNOWN as error:
            for seat in seats:
                verdicts.settle(seat, Overloaded(f"the order store did not answer: {error}"), release=False)
            open_seats.clear()
            return
        for row in rows:
            seat = open_seats[row["order_id"]]
            if await self._judge(seat, row, verdicts, lost=lost):
                del open_seats[seat.order_id]

    async def _judge(self, seat: Seat, row: asyncpg.Record, verdicts: Verdicts, *, lost: bool) -> bool:
        """Returns whether the seat's fate is known; otherwise the statement is worth another round."""
        recorded_as = row["recorded_order_id"]
        mine = recorded_as == seat.order_id
        if recorded_as is not None and row["order_exists"] and not row["abandoned"]:
            outcome: Recorded | GroupsError = Recorded(recorded_as, replayed=seat.replayed or not mine)
            if not row["same_body"]:
                outcome = IdempotencyKeyReused("the idempotency key was used with a different body")
            verdicts.settle(seat, outcome, release=not mine)
            return True
        if mine and row["abandoned"]:
            verdicts.settle(seat, Overloaded("the seat was given up before it was recorded"), release=True)
            return True
        if mine:
            # The key was written and the order was not: the buyer's units were counted elsewhere meanwhile.
            await self._pool.execute(QUERIES["drop_unused_key"], seat.placement.request_id, seat.order_id)
            verdicts.settle(seat, LimitReached("another order reached the buyer's limit first"), release=True)
            return True
        if recorded_as is None and row["group_status"] is not None:
            if row["group_status"] != "open" or row["overdue"]:
                full = bool(row["filled"])
                refusal = GroupFull("every seat is taken") if full else GroupClosed("the group has closed")
                if seat.group_id is not None:
                    verdicts.closed_groups[seat.group_id] = "full" if full else "closed"
                verdicts.settle(seat, refusal, release=not lost)
                return True
            if seat.placement.verb == "best" and await self._seated_elsewhere(seat, verdicts):
                return True
        if lost:
            verdicts.settle(seat, Overloaded("the order store did not answer in time"), release=False)
            return True
        return False

    async def _seated_elsewhere(self, seat: Seat, verdicts: Verdicts) -> bool:
        """Whether, on a deal of several lanes, auto-placement met an older seat in another lane."""
        order_id = await self._pool.fetchval(
            QUERIES["standing_order_elsewhere"],
            seat.placement.buyer_id,
            seat.placement.deal_id,
            seat.order_id,
        )
        if order_id is None:
            return False
        verdicts.settle(seat, AlreadyJoined(order_id), release=True)
        return True


def _undecided(seat: Seat) -> GroupsError:
    if seat.replayed:
        return IdempotencyInFlight("another request with this key is still being decided")
    return Overloaded("the seat could not be recorded in time")


def _columns(seats: Sequence[Seat], epoch: int) -> tuple[list[Any], ...]:
    """The arrays of `record_placements`, sorted by order id so that concurrent batches lock alike."""
    ordered = sorted(seats, key=lambda seat: seat.order_id)
    wishes = [seat.placement for seat in ordered]
    return (
        [seat.order_id for seat in ordered],
        [wish.request_id for wish in wishes],
        [wish.body_digest for wish in wishes],
        [wish.deal_id for wish in wishes],
        [seat.lane_no for seat in ordered],
        [epoch] * len(ordered),
        [seat.group_id for seat in ordered],
        [seat.seat_no for seat in ordered],
        [wish.buyer_id for wish in wishes],
        [wish.quantity for wish in wishes],
        [wish.payment_method for wish in wishes],
        [wish.invite_code for wish in wishes],
        [wish.ship_to for wish in wishes],
        [seat.share_code for seat in ordered],
        [seat.leader_order_id for seat in ordered],
        [wish.verb == "best" for wish in wishes],
    )
