"""Lists the joinable groups of a deal, across its lanes, with work that does not grow with them.

Each lane ranks its groups in Redis; a few of each are merged. A lane that Redis does not hold is read from
Postgres, where only the groups with the most time left are looked at.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from groups.errors import Overloaded
from groups.keys import Lane
from groups.lane_store import LaneCold, LaneStore
from pricing.ladder import HEADCOUNT_MAX
from sql import load_queries

QUERIES = load_queries("groups.queries", "listing")
# The groups of one lane at a time; groups past their deadline stay ranked until a worker or a join comes by.
LOOKS_MAX = 400
# The groups of each cold lane of a deal.
COLD_GROUPS_MAX = 1_000

Place: TypeAlias = tuple[int, str]
"""Where a group stands in the list: its taken seats, then its id, both falling."""
BEFORE_ALL: Place = (HEADCOUNT_MAX + 1, "")

_log = logging.getLogger("groups.listing")


@dataclass(frozen=True, slots=True)
class Listed:
    """Groups in the order of the list, and from where on there may be more; None at the list's end."""

    places: list[Place]
    more_behind: Place | None


class GroupList:
    """Finds groups that have room, as their lanes know it; a caller that shows them asks Postgres last."""

    def __init__(self, pool: asyncpg.Pool, store: LaneStore) -> None:
        self._pool = pool
        self._store = store

    async def joinable(self, deal_id: str, *, after: Place | None, count: int) -> Listed:
        """Returns up to `count` groups from behind `after`; none of a deal not running or sold out.

        There may be fewer although more are behind them. Raises asyncpg.PostgresError and OSError.
        """
        start = after or BEFORE_ALL
        lanes = await self._pool.fetch(QUERIES["listed_lanes"], deal_id)
        found = await asyncio.gather(
            *(self._ranked(Lane(deal_id, row["lane_no"]), row["epoch"], start, count) for row in lanes)
        )
        parts = [part for part in found if part is not None]
        cold = [row["lane_no"] for row, part in zip(lanes, found, strict=True) if part is None]
        if cold:
            parts.append(await self._read(deal_id, cold, start, count))
        return merged(parts, count)

    async def _ranked(self, lane: Lane, epoch: int, start: Place, count: int) -> Listed | None:
        """Asks a lane; None where Redis cannot tell."""
        try:
            looked = await self._store.list_groups(lane, epoch, after=start, count=count, looks_max=LOOKS_MAX)
        except LaneCold:
            return None
        except Overloaded as error:
            _log.info("groups of lane %s are read from Postgres: %s", lane, error)
            return None
        places = [(taken, group_id) for taken, group_id, joinable in looked if joinable]
        at_end = len(looked) < LOOKS_MAX and len(places) < count
        return Listed(places, None if at_end else looked[-1][:2])

    async def _read(self, deal_id: str, lane_nos: Sequence[int], start: Place, count: int) -> Listed:
        rows = await self._pool.fetch(
            QUERIES["groups_of_cold_lanes"], deal_id, lane_nos, *start, count, COLD_GROUPS_MAX
        )
        places: list[Place] = [(row["taken"], row["id"]) for row in rows]
        return Listed(places, places[-1] if len(places) == count else None)


def merged(parts: Sequence[Listed], count: int) -> Listed:
    """Returns the first `count` of all parts; groups behind the end of a part that goes on wait.

    That part may hold groups that come before them.
    """
    ends = [part.more_behind for part in parts if part.more_behind is not None]
    horizon = max(ends, default=None)
    places = sorted((place for part in parts for place in part.places), reverse=True)
    if horizon is not None:
        places = [place for place in places if place >= horizon]
    if len(places) > count:
        return Listed(places[:count], places[count - 1])
    return Listed(places, horizon)
