"""Takes buyers who are being forgotten out of Redis' lanes, each at the cost of their own orders.

Where their orders get an alias, rows of the same transaction say which lanes know them. Each lane is told by
a small script afterwards, repeatedly until it holds a state that lasts; nothing is rebuilt. A rebuild that
reads later than that transaction finds the alias. A rebuild that read earlier may still be under way while a
lane is cold. A lane that stayed cold for longer than any rebuild takes is therefore fenced by a higher epoch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Literal

import asyncpg

from groups.errors import Overloaded
from groups.keys import Lane
from groups.lane_store import LaneCold, LaneStore
from sql import Connection, load_queries

FORGETTING = load_queries("groups.queries", "forgetting")
LANES = load_queries("groups.queries", "lanes")
# Longer than a rebuild may take that read before the orders got their alias.
FORGOTTEN_OUTLIVED_MS = 60_000
LANES_PER_PASS = 200
LANES_TOLD_AT_ONCE_MAX = 8

Told = Literal["told", "cold", "unreached"]

_log = logging.getLogger("groups.forgetting")


async def note_forgotten(connection: Connection, buyer_id: str, alias: str, order_ids: Sequence[str]) -> None:
    """Notes which lanes know a buyer, some of whose orders have just got the alias, in that transaction."""
    await connection.execute(FORGETTING["insert_forgotten"], buyer_id, alias, order_ids)


class Forgetting:
    """Tells lanes whom to forget."""

    def __init__(self, store: LaneStore) -> None:
        self._store = store

    async def tell_lanes(self, connection: Connection, buyer_id: str) -> int:
        """Tells up to `LANES_PER_PASS` lanes of a buyer; returns how many of them are done.

        Call it after the transaction that noted the lanes, in one that excludes other calls for the same
        buyer. A lane that is cold or cannot be reached stays noted.
        """
        rows = await connection.fetch(
            FORGETTING["forgotten_buyers"], buyer_id, FORGOTTEN_OUTLIVED_MS, LANES_PER_PASS
        )
        done: list[Lane] = []
        given_up: list[Lane] = []
        for start in range(0, len(rows), LANES_TOLD_AT_ONCE_MAX):
            some = rows[start : start + LANES_TOLD_AT_ONCE_MAX]
            outcomes = await asyncio.gather(*(self._tell(buyer_id, row) for row in some))
            for row, outcome in zip(some, outcomes, strict=True):
                lane = Lane(row["deal_id"], row["lane_no"])
                if outcome == "told":
                    done.append(lane)
                elif outcome == "cold" and row["outlived"]:
                    given_up.append(lane)
            if "unreached" in outcomes:
                # The others will hardly be reached now, and the transaction should not wait for each.
                break
        for lane in sorted(given_up):
            await connection.execute(LANES["raise_epoch"], lane.deal_id, lane.lane_no, 0)
        done += given_up
        await connection.execute(
            FORGETTING["drop_forgotten"],
            buyer_id,
            [lane.deal_id for lane in done],
            [lane.lane_no for lane in done],
        )
        return len(done)

    async def _tell(self, buyer_id: str, row: asyncpg.Record) -> Told:
        lane = Lane(row["deal_id"], row["lane_no"])
        try:
            await self._store.forget(
                lane, row["epoch"], buyer_id, alias=row["alias"], kept_units=row["kept_units"]
            )
        except LaneCold:
            return "cold"
        except Overloaded as error:
            _log.warning("lane %s forgets a buyer later: %s", lane, error)
            return "unreached"
        return "told"
