"""The durable record: one statement for a batch of seats, and a verdict on every row it did not return."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import asyncpg

from groups.errors import (
    AlreadyJoined,
    DealNotActive,
    GroupClosed,
    GroupFull,
    GroupsError,
    IdempotencyInFlight,
    IdempotencyKeyReused,
    LimitReached,
    Overloaded,
)
from groups.lane_store import LaneCold
from groups.leaders import replace_founders
from groups.placement import CommittedGroup, Placed, PlacedGroup, Recorded, Seat
from groups.recording import (
    EPOCH_STALE,
    GAVE_WAY,
    OUTCOME_UNKNOWN,
    RECORD_TIMEOUT_S,
    RecordingStatements,
)
from sql import load_queries

QUERIES = load_queries("groups.queries", "placements")
# A seat whose group another process is just writing is worth a short wait; in all about two seconds.
ROUND_WAITS_MS = (0, 10, 40, 150, 400, 600, 800)
# Rounds that wait for locks are long, and behind them a whole lane waits. Another round begins only before
# this. With a lock timeout of one second that makes the two seconds that a key in flight is waited for.
ROUNDS_TIMEOUT_S = 1.5

_log = logging.getLogger("groups.record")


class KnownRequest(NamedTuple):
    """A request that Postgres remembers: in hexadecimal digits, the order it made, and how long ago."""

    request_id: str
    order_id: str
    age_ms: int


class LaneLied(Exception):
    """A constraint refused what Redis should have foreseen; its state of the lane cannot be trusted."""


@dataclass(slots=True)
class Verdicts:
    """The verdict on each seat, by order id."""

    recorded: dict[str, Recorded] = field(default_factory=dict)
    # An asyncpg.DataError stands for a seat that Postgres cannot store.
    refused: dict[str, GroupsError | asyncpg.DataError] = field(default_factory=dict)
    # Orders that these statements wrote, whether or not their seats had been placed by an earlier call.
    written_count: int = 0
    # (request id, order id) of keys that were written without their order.
    unused_keys: list[tuple[bytes, str]] = field(default_factory=list)
    # The seat of a request that is refused for good, or recorded under another order, goes back to the lane.
    released: list[Seat] = field(default_factory=list)
    # Refused, once it is certain that no other call of the request records the seat; by order id.
    doomed: dict[str, GroupsError | asyncpg.DataError] = field(default_factory=dict)
    # Requests that an earlier call recorded in a seat of its own.
    known_requests: list[KnownRequest] = field(default_factory=list)
    groups: dict[str, CommittedGroup] = field(default_factory=dict)
    closed_groups: dict[str, str] = field(default_factory=dict)

    def settle(
        self, seat: Seat, outcome: Recorded | GroupsError | asyncpg.DataError, *, release: bool
    ) -> None:
        if isinstance(outcome, Recorded):
            self.recorded[seat.order_id] = outcome
        else:
            self.refused[seat.order_id] = outcome
        if release:
            self.released.append(seat)

    def know_group(self, seat: Seat, deadline: datetime) -> None:
        """Notes that a recorded seat's group is committed, unless the lane knows that already."""
        if seat.group_id is not None and seat.share_code is not None and seat.group_id not in self.groups:
            self.groups[seat.group_id] = CommittedGroup(seat.group_id, deadline)


class Recorder:
    """Writes batches of seats to Postgres. `hold_ms` is how long an unpaid seat is kept.

    `recording_pool` is for the statement that records, and `pool` for the questions afterwards; one pool may
    serve for both.
    """

    def __init__(
        self, pool: asyncpg.Pool, *, hold_ms: int, recording_pool: asyncpg.Pool | None = None
    ) -> None:
        self._pool = pool
        self._statements = RecordingStatements(recording_pool or pool, hold_ms=hold_ms)

    async def record(self, seats: Sequence[Seat], *, epoch: int) -> Verdicts:
        """Records a lane's seats placed under `epoch` and says what became of each.

        Raises LaneCold when the lane is at another epoch, and LaneLied when a constraint refused the batch.
        In both cases nothing was recorded and the batch must be placed again.
        """
        verdicts = Verdicts()
        open_seats = {seat.order_id: seat for seat in seats}
        clock = asyncio.get_running_loop().time
        give_up_at_s = clock() + ROUNDS_TIMEOUT_S
        for wait_ms in ROUND_WAITS_MS:
            if wait_ms:
                await asyncio.sleep(wait_ms * random.uniform(0.5, 1.0) / 1000)  # noqa: S311 - jitter only
            try:
                lost = await self._record_round(open_seats, epoch, verdicts)
                await self._classify(open_seats, verdicts, lost=lost)
                await self._refuse_doomed(open_seats, verdicts)
            except (LaneCold, LaneLied):
                if not verdicts.recorded:
                    raise
                # Seats that this call recorded are answered for; the rest comes back to a lane that is ready
                # again.
                break
            if not open_seats or clock() > give_up_at_s:
                break
        for seat in open_seats.values():
            verdicts.settle(seat, _undecided(seat), release=False)
        await self._replace_founders(verdicts)
        return verdicts

    async def _record_round(self, open_seats: dict[str, Seat], epoch: int, verdicts: Verdicts) -> bool:
        """Runs the statement once; returns true when its outcome is unknown, for it may have committed."""
        try:
            rows = await self._statements.insert(list(open_seats.values()), epoch=epoch)
        except (asyncpg.CheckViolationError, asyncpg.UniqueViolationError) as error:
            raise LaneLied(str(error)) from error
        except GAVE_WAY:
            return False
        except asyncpg.DataError as error:
            return await self._record_halves(open_seats, epoch, verdicts, error)
        except asyncpg.PostgresError as error:
            if error.sqlstate == EPOCH_STALE:
                raise LaneCold from error
            if not isinstance(error, OUTCOME_UNKNOWN):
                raise
            return True
        except OUTCOME_UNKNOWN:
            return True
        orders = [row for row in rows if row["id"] is not None]
        verdicts.written_count += len(orders)
        groups = _groups_of(rows[len(orders) :], open_seats.values())
        for row in orders:
            seat = open_seats.pop(row["id"])
            group = groups[row["group_id"]] if row["group_id"] is not None else None
            placed = None if seat.replayed else _placed(row, seat, group)
            verdicts.recorded[seat.order_id] = Recorded(seat.order_id, seat.replayed, placed)
            if group is not None:
                verdicts.know_group(seat, group.deadline)
        return False

    async def _record_halves(
        self, open_seats: dict[str, Seat], epoch: int, verdicts: Verdicts, error: asyncpg.DataError
    ) -> bool:
        """Narrows down the seat that holds what Postgres cannot store, so that it alone fails."""
        seats = list(open_seats.values())
        if len(seats) == 1:
            verdicts.doomed[seats[0].order_id] = error
            return False
        lost = False
        for half in (seats[: len(seats) // 2], seats[len(seats) // 2 :]):
            part = {seat.order_id: seat for seat in half}
            lost = await self._record_round(part, epoch, verdicts) or lost
            for seat in half:
                if seat.order_id not in part:
                    del open_seats[seat.order_id]
        return lost

    async def _classify(self, open_seats: dict[str, Seat], verdicts: Verdicts, *, lost: bool) -> None:
        """Decides what it can about the seats in `open_seats`; takes out those that are not doomed."""
        seats = [seat for seat in open_seats.values() if seat.order_id not in verdicts.doomed]
        if not seats:
            return
        wishes = [seat.placement for seat in seats]
        try:
            rows = await self._pool.fetch(
                QUERIES["classify_placements"],
                [seat.order_id for seat in seats],
                [wish.request_id for wish in wishes],
                [wish.body_digest for wish in wishes],
                [seat.group_id for seat in seats],
                [wish.deal_id for wish in wishes],
                [wish.buyer_id for wish in wishes],
                [wish.verb == "best" for wish in wishes],
                timeout=RECORD_TIMEOUT_S,
            )
            for row in rows:
                if _judge(open_seats[row["order_id"]], row, verdicts, lost=lost):
                    del open_seats[row["order_id"]]
            await self._drop_unused_keys(verdicts)
        except OUTCOME_UNKNOWN as error:
            for seat in open_seats.values():
                verdicts.settle(seat, Overloaded(f"the order store did not answer: {error}"), release=False)
            open_seats.clear()
            verdicts.doomed.clear()

    async def _refuse_doomed(self, open_seats: dict[str, Seat], verdicts: Verdicts) -> None:
        """Refuses the doomed seats that get a tombstone; the others are worth another round.

        Redis gives every call of a request the same seat, and the obstacle may have gone since. Another call
        may therefore record a seat that this one is about to take out of the lane, with its request. The
        tombstone waits for such a call, and lets no later one record the seat.
        """
        doomed, verdicts.doomed = verdicts.doomed, {}
        if not doomed:
            return
        columns = ([open_seats[order_id].placement.request_id for order_id in doomed], list(doomed))
        try:
            rows = await self._pool.fetch(QUERIES["abandon_requests"], *columns, timeout=RECORD_TIMEOUT_S)
        except GAVE_WAY as error:
            _log.info("%d seats are not refused yet: %s", len(doomed), error)
            return
        except OUTCOME_UNKNOWN as error:
            for order_id in doomed:
                outcome = Overloaded(f"the order store did not answer: {error}")
                verdicts.settle(open_seats.pop(order_id), outcome, release=False)
            return
        for row in rows:
            order_id = row["order_id"]
            verdicts.settle(open_seats.pop(order_id), doomed[order_id], release=True)

    async def _drop_unused_keys(self, verdicts: Verdicts) -> None:
        """Takes back keys that stand without an order; one that stays is met again by its own retry."""
        keys, verdicts.unused_keys = verdicts.unused_keys, []
        if not keys:
            return
        columns = ([request_id for request_id, _ in keys], [order_id for _, order_id in keys])
        try:
            await self._pool.execute(QUERIES["drop_unused_keys"], *columns, timeout=RECORD_TIMEOUT_S)
        except GAVE_WAY as error:
            _log.info("%d keys without an order stay for now: %s", len(keys), error)

    async def _replace_founders(self, verdicts: Verdicts) -> None:
        """Looks after groups that refused seats were to open; a failure leaves one that nobody joins."""
        founders = {
            seat.order_id: seat.group_id
            for seat in verdicts.released
            if seat.group_id is not None and seat.order_id == seat.leader_order_id
        }
        if not founders:
            return
        try:
            await replace_founders(self._pool, founders)
        except (*OUTCOME_UNKNOWN, *GAVE_WAY) as error:
            _log.warning("groups %s were left without their founders: %s", sorted(founders.values()), error)


def _groups_of(rows: Sequence[asyncpg.Record], seats: Iterable[Seat]) -> dict[str, PlacedGroup]:
    """Reads the rows of groups, each filled up to the last seat that the lane gave out in it."""
    taken: dict[str | None, int] = {}
    for seat in seats:
        if seat.taken > taken.get(seat.group_id, 0):
            taken[seat.group_id] = seat.taken
    return {
        row["group_id"]: PlacedGroup(
            id=row["group_id"],
            deal_id=row["deal_id"],
            share_code=row["share_code"],
            capacity=row["capacity"],
            min_headcount=row["min_headcount"],
            tier_headcounts=tuple(row["tier_headcounts"]),
            tier_prices_minor=tuple(row["tier_prices_minor"]),
            currency=row["currency"],
            opened_at=row["opened_at"],
            deadline=row["deadline"],
            headcount=row["headcount"],
            taken=taken.get(row["group_id"], 0),
        )
        for row in rows
    }


def _placed(row: asyncpg.Record, seat: Seat, group: PlacedGroup | None) -> Placed:
    wish = seat.placement
    return Placed(
        wish.deal_id,
        wish.quantity,
        seat.seat_no,
        row["promised_unit_minor"],
        row["currency"],
        row["created_at"],
        group,
    )


def _judge(seat: Seat, row: asyncpg.Record, verdicts: Verdicts, *, lost: bool) -> bool:
    """Returns whether the seat's fate is known; otherwise it is doomed or worth another round.

    While the statement's outcome is unknown (`lost`), no seat is released that it may yet record.
    """
    recorded_as = None if row["abandoned"] else row["recorded_order_id"]
    mine = row["recorded_order_id"] == seat.order_id
    if recorded_as is not None and row["order_exists"]:
        outcome: Recorded | GroupsError = Recorded(recorded_as, replayed=seat.replayed or not mine)
        if not row["same_body"]:
            outcome = IdempotencyKeyReused("the idempotency key was used with a different body")
        if mine:
            # Written by this very statement, whose answer was lost; otherwise an earlier one wrote it.
            verdicts.written_count += lost
            verdicts.know_group(seat, row["deadline"])
        else:
            request_id = seat.placement.request_id.hex()
            verdicts.known_requests.append(KnownRequest(request_id, recorded_as, row["recorded_ms_ago"]))
        verdicts.settle(seat, outcome, release=not mine)
        return True
    if mine and row["abandoned"]:
        verdicts.settle(seat, Overloaded("the seat was given up before it was recorded"), release=True)
        return True
    if recorded_as is not None:
        # A key without its order: the statement that wrote it found the buyer's units counted elsewhere.
        verdicts.unused_keys.append((seat.placement.request_id, recorded_as))
        if mine:
            verdicts.doomed[seat.order_id] = LimitReached("another order reached the buyer's limit first")
            return False
    else:
        found = _refusal_of(seat, row, verdicts)
        if found is not None and lost:
            verdicts.settle(seat, found, release=False)
            return True
        if found is not None:
            verdicts.doomed[seat.order_id] = found
            return False
    if lost:
        verdicts.settle(seat, _undecided(seat), release=False)
    return lost


def _refusal_of(seat: Seat, row: asyncpg.Record, verdicts: Verdicts) -> GroupsError | None:
    """The reason, its key aside, that keeps a seat from being recorded; None when there is none by now."""
    if row["group_status"] is None and seat.group_id is not None and seat.share_code is None:
        raise LaneLied(f"Redis takes group {seat.group_id} for committed")
    if row["group_status"] is None:
        # No group and no solo order can begin outside the deal's window, by Postgres' clock.
        return DealNotActive("the deal is not running now") if row["outside_window"] else None
    if row["group_status"] != "open" or row["overdue"]:
        full = bool(row["filled"])
        if seat.group_id is not None:
            verdicts.closed_groups[seat.group_id] = "full" if full else "closed"
        return GroupFull("every seat is taken") if full else GroupClosed("the group has closed")
    if row["standing_order_id"] is not None:
        return AlreadyJoined(row["standing_order_id"])
    return None


def _undecided(seat: Seat) -> GroupsError:
    if seat.replayed:
        return IdempotencyInFlight("another request with this key is still being decided")
    return Overloaded("the seat could not be recorded in time")
