"""Other marketplaces on the same Redis: how they are found before a start, and how lanes survive beside one.

Two of them sell too little, and neither can tell a restore of its own from the other. A start beside another
marketplace is refused. A marketplace that is met later is shown to an operator.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

import asyncpg

from groups.connections import Connections
from groups.history import fence_lanes, follow_history, position_of, remembered_by
from groups.lane_store import LaneStore
from groups.tellers import LIVING_MS, Teller

LOOK_EVERY_S: Final = 0.25
LOOKS_MAX: Final = int(LIVING_MS / 1_000 / LOOK_EVERY_S) + 1
# A restored database is met once each time; more than this would be no restores.
MET_MAX: Final = 64

_log = logging.getLogger("groups.neighbours")


async def find_neighbours(pool: asyncpg.Pool, connections: Connections) -> list[tuple[Teller, bool]]:
    """Returns each other marketplace that tells this Redis, and whether it came after us.

    Waits, at most `LIVING_MS`, only where a teller that Postgres does not know told a moment ago. A restored
    database's own past stays silent. Raises as `follow_history` does.
    """
    first: dict[str, int] = {}
    for look in range(LOOKS_MAX):
        remembered = await remembered_by(connections)
        found = await position_of(pool, remembered.values())
        heard = [
            (known.tellers, stranger)
            for known in remembered.values()
            for stranger in known.tellers.living_strangers(found.teller, found.lit)
        ]
        again = [
            (stranger, tellers.came_before(found.teller, stranger))
            for tellers, stranger in heard
            if first.setdefault(stranger.name, stranger.told_ms) != stranger.told_ms
        ]
        if again:
            return again
        if not heard or look == LOOKS_MAX - 1:
            break
        await asyncio.sleep(LOOK_EVERY_S)
    return []


class Neighbourhood:
    """Follows the history of Postgres for one process, and says once whom it met there.

    `on_neighbours` hears at each look how many other marketplaces tell this Redis.
    """

    def __init__(self, pool: asyncpg.Pool, store: LaneStore, on_neighbours: Callable[[int], None]) -> None:
        self._pool = pool
        self._store = store
        self._on_neighbours = on_neighbours
        self._met: set[str] = set()

    async def follow(self) -> bool:
        """Does the work of `follow_history`, and makes lanes anew where a neighbour may have torn them."""
        neighbours: list[Teller] = []
        went_back = await follow_history(self._pool, self._store, on_neighbours=neighbours.extend)
        self._on_neighbours(len({neighbour.name for neighbour in neighbours}))
        new = [neighbour for neighbour in neighbours if neighbour.name not in self._met]
        if new and len(self._met) < MET_MAX:
            self._say(new)
            # A neighbour that took Redis for its own had it forget every lane, some perhaps in part.
            await fence_lanes(self._pool)
            self._met.update(neighbour.name for neighbour in new)
        return went_back

    def _say(self, neighbours: Sequence[Teller]) -> None:
        for neighbour in neighbours:
            _log.error(
                "another marketplace tells this Redis: %s; give one of the two another database number of "
                "Redis, or another Redis",
                neighbour.title,
            )
