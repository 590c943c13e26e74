"""The recording statement as it is sent: one for the seats of many lanes, as long as it succeeds.

Records in one statement the seats that lanes bring while earlier statements are under way. The statement is
one transaction. It may fail because of one lane: its epoch was raised, a constraint refused a seat, a lock
was held for too long. Then each lane's seats are recorded by themselves, and each lane hears its own outcome.
Where nobody knows whether it committed, all are told just that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg

from groups.convoy import Convoy
from groups.placement import Seat
from sql import load_queries
from sql.retry import retry_serialization

QUERIES = load_queries("groups.queries", "placements")
EPOCH_STALE = "PT001"
RECORD_TIMEOUT_S = 3.0
SEATS_MAX = 256
# Two, so that one is read and executed while the other one is committed.
STATEMENTS_AT_ONCE_MAX = 2

OUTCOME_UNKNOWN = (
    asyncpg.QueryCanceledError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # The error of a statement on a connection that has got Postgres' last message, and not its end yet.
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    TimeoutError,
    OSError,
)
# Postgres rolled the statement back for the sake of others, so another round may succeed.
GAVE_WAY = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

Rows = list[asyncpg.Record]


class _Batch(NamedTuple):
    """The seats that one lane has to record, placed under `epoch`."""

    seats: Sequence[Seat]
    epoch: int


class RecordingStatements:
    """Sends the recording statement; `hold_ms` is how long an unpaid seat is kept."""

    def __init__(self, pool: asyncpg.Pool, *, hold_ms: int) -> None:
        self._pool = pool
        self._hold_ms = hold_ms
        self._convoy: Convoy[_Batch, Rows] = Convoy(
            self._insert_all, size_max=SEATS_MAX, under_way_max=STATEMENTS_AT_ONCE_MAX
        )

    async def insert(self, seats: Sequence[Seat], *, epoch: int) -> Rows:
        """Returns a row for each order that was written, and then one for each group; see the statement.

        Raises what the statement would have raised for these seats alone.
        """
        return await self._convoy.carry(_Batch(seats, epoch), len(seats))

    async def _insert_all(self, batches: Sequence[_Batch]) -> list[Rows | Exception]:
        if len(batches) == 1:
            return [await self._insert(batches)]
        try:
            rows = await self._insert(batches)
        except OUTCOME_UNKNOWN as error:
            return [error] * len(batches)
        except asyncpg.PostgresError:
            return [await self._insert_alone(batch) for batch in batches]
        return _shares_of(batches, rows)

    async def _insert_alone(self, batch: _Batch) -> Rows | Exception:
        try:
            return await self._insert([batch])
        except Exception as error:  # noqa: BLE001 - it is told to the lane whose seats these are.
            return error

    async def _insert(self, batches: Sequence[_Batch]) -> Rows:
        columns = _columns(batches)
        return await retry_serialization(
            lambda: self._pool.fetch(
                QUERIES["record_placements"], *columns, self._hold_ms, timeout=RECORD_TIMEOUT_S
            )
        )


def _shares_of(batches: Sequence[_Batch], rows: Rows) -> list[Rows | Exception]:
    """Parts the rows between the lanes; a group belongs to one."""
    orders: dict[str, Rows] = {}
    groups: dict[str, Rows] = {}
    shares: list[Rows] = [[] for _ in batches]
    for batch, share in zip(batches, shares, strict=True):
        for seat in batch.seats:
            orders[seat.order_id] = share
            if seat.group_id is not None:
                groups[seat.group_id] = share
    for row in rows:
        (groups[row["group_id"]] if row["id"] is None else orders[row["id"]]).append(row)
    return list(shares)


def _columns(batches: Sequence[_Batch]) -> tuple[list[Any], ...]:
    """The arrays of `record_placements`, sorted by order id so that concurrent statements lock alike."""
    ordered = sorted(
        ((seat, batch.epoch) for batch in batches for seat in batch.seats),
        key=lambda placed: placed[0].order_id,
    )
    seats = [seat for seat, _ in ordered]
    wishes = [seat.placement for seat in seats]
    return (
        [seat.order_id for seat in seats],
        [wish.request_id for wish in wishes],
        [wish.body_digest for wish in wishes],
        [wish.deal_id for wish in wishes],
        [seat.lane_no for seat in seats],
        [epoch for _, epoch in ordered],
        [seat.group_id for seat in seats],
        [seat.seat_no for seat in seats],
        [wish.buyer_id for wish in wishes],
        [wish.quantity for wish in wishes],
        [wish.payment_method for wish in wishes],
        [wish.invite_code for wish in wishes],
        [wish.ship_to for wish in wishes],
        [seat.share_code for seat in seats],
        [seat.leader_order_id for seat in seats],
        [wish.verb == "best" for wish in wishes],
    )
