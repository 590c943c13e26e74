"""Carries units from one lane of a deal to another: taken in Redis, moved in Postgres, given in Redis.

Each transfer is a row from before its first step until after its last. Each step may be repeated: lanes
remember by id how much a transfer took and gave. Any process can therefore finish the transfer of one that
died, and Redis never has more units than Postgres:

- a lane that was rebuilt after it was taken from has its units back. Its epoch is another then, and the move,
  which asks for the epoch that was taken under, moves nothing;
- a lane that was rebuilt after the move has the units and remembers the transfer, so that nothing is given
  twice.

Steps are made by the holder of the deal's stock lock. The lock saves work and keeps surveys exact; where it
is lost midway, the steps' own guards hold.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import asyncpg

from groups.errors import Overloaded
from groups.ids import new_id
from groups.keys import Lane
from groups.lane_store import LaneCold, LaneStore
from sql import load_queries
from sql.retry import retry_serialization

LANES = load_queries("groups.queries", "lanes")
TRANSFERS = load_queries("groups.queries", "transfers")
# A lane that does not answer or stays cold for this long learns of the transfer by a rebuild.
OUTLIVED_MS = 60_000

_log = logging.getLogger("groups.transfers")


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer of units from one lane to another; `from_epoch` is the epoch they are taken under."""

    id: str
    from_lane: Lane
    to_lane: Lane
    from_epoch: int
    units: int
    moved: bool = False
    outlived: bool = False


class Carrier:
    """Makes the steps of transfers, on a connection that holds the deal's stock lock."""

    def __init__(self, store: LaneStore) -> None:
        self._store = store

    async def carry(
        self, connection: Any, from_lane: Lane, to_lane: Lane, *, from_epoch: int, units: int
    ) -> bool:
        """Carries up to `units`; returns whether the transfer got to its end, though maybe with none.

        Raises Overloaded when Redis does not answer.
        """
        transfer = Transfer(new_id("mov"), from_lane, to_lane, from_epoch, units)
        await connection.execute(
            TRANSFERS["insert_transfer"],
            transfer.id,
            from_lane.deal_id,
            from_lane.lane_no,
            to_lane.lane_no,
            from_epoch,
            units,
        )
        return await self._go_on(connection, transfer)

    async def finish(self, connection: Any, deal_id: str) -> set[int]:
        """Goes on with transfers of the deal that somebody left.

        Returns the numbers of the lanes that still wait for their units in Redis, because a lane is cold or
        does not answer.
        """
        rows = await connection.fetch(TRANSFERS["open_transfers"], deal_id, OUTLIVED_MS)
        waiting: set[int] = set()
        for row in rows:
            transfer = Transfer(
                row["id"],
                Lane(deal_id, row["from_lane"]),
                Lane(deal_id, row["to_lane"]),
                row["from_epoch"],
                row["units"],
                row["moved"],
                row["outlived"],
            )
            try:
                ended = await self._go_on(connection, transfer)
            except Overloaded as error:
                _log.warning("transfer %s goes on later: %s", transfer.id, error)
                ended = False
            if not ended:
                waiting.add(row["to_lane"])
        return waiting

    async def _go_on(self, connection: Any, transfer: Transfer) -> bool:
        try:
            moved_units = (
                transfer.units if transfer.moved else await self._take_and_move(connection, transfer)
            )
            return moved_units == 0 or await self._give(connection, transfer, moved_units)
        except Overloaded:
            if not transfer.outlived:
                raise
        await self._leave_to_rebuild(connection, transfer)
        return True

    async def _take_and_move(self, connection: Any, transfer: Transfer) -> int:
        """Returns how many units Postgres has moved; with none the transfer is over."""
        taken: int | None
        try:
            taken = await self._store.take_units(
                transfer.from_lane, transfer.from_epoch, transfer.id, transfer.units
            )
        except LaneCold:
            taken = None
        try:
            return await retry_serialization(lambda: self._move(connection, transfer, taken))
        except asyncpg.CheckViolationError as error:
            _log.warning("lane %s had units in Redis alone and is rebuilt: %s", transfer.from_lane, error)
            await self._leave_to_rebuild(connection, transfer)
            return 0

    async def _move(self, connection: Any, transfer: Transfer, taken: int | None) -> int:
        """Moves the units taken; a cold lane (None) gives what it has of the transfer's, and stays cold."""
        async with connection.transaction():
            noted = await connection.fetchrow(TRANSFERS["lock_transfer"], transfer.id)
            if noted is None or noted["moved"]:
                # Somebody got further, while we had lost the deal's lock.
                return 0 if noted is None else int(noted["units"])
            rows = await connection.fetch(
                TRANSFERS["lock_lanes_of_transfer"],
                transfer.from_lane.deal_id,
                transfer.from_lane.lane_no,
                transfer.to_lane.lane_no,
            )
            [giving] = [row for row in rows if row["lane_no"] == transfer.from_lane.lane_no]
            units = min(transfer.units, giving["units_left"]) if taken is None else taken
            if giving["epoch"] != transfer.from_epoch or units <= 0:
                # Units taken under another epoch came from a state that is no longer believed.
                await connection.execute(TRANSFERS["drop_transfer"], transfer.id)
                return 0
            await connection.execute(TRANSFERS["move_units"], transfer.id, units, taken is None)
            return int(units)

    async def _give(self, connection: Any, transfer: Transfer, units: int) -> bool:
        """Returns whether the lane has its units; a cold one may still get a state from before the move."""
        lane = transfer.to_lane
        epoch = await connection.fetchval(LANES["lane_epoch"], lane.deal_id, lane.lane_no)
        try:
            await self._store.give_units(lane, epoch, transfer.id, units)
        except LaneCold:
            if not transfer.outlived:
                return False
            await self._leave_to_rebuild(connection, transfer)
            return True
        await connection.execute(TRANSFERS["drop_transfer"], transfer.id)
        return True

    async def _leave_to_rebuild(self, connection: Any, transfer: Transfer) -> None:
        """Ends a transfer by raising epochs, after which Redis' knowledge of it no longer counts."""
        _log.warning("transfer from %s to %s is left to rebuilds", transfer.from_lane, transfer.to_lane)

        async def transaction() -> None:
            async with connection.transaction():
                for lane in sorted((transfer.from_lane, transfer.to_lane)):
                    await connection.execute(LANES["raise_epoch"], lane.deal_id, lane.lane_no, 0)
                await connection.execute(TRANSFERS["drop_transfer"], transfer.id)

        await retry_serialization(transaction)
