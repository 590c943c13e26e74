"""How a noun hears of its events.

Its rows are deleted in the transaction that writes what the noun makes of them. A worker that dies midway
leaves both undone, and of two workers only one gets a row. The noun therefore hears each event exactly once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from groups.setbacks import Setbacks
from pintuan.base.events import store
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from groups.setbacks import Work
    from pintuan.base.events.event import Event, React, Reactions


class Hearer:
    """Lets one noun hear a process' share of its events; any number of processes may have one."""

    def __init__(self, pool: asyncpg.Pool, noun: str, reactions: Reactions) -> None:
        self._pool = pool
        self._noun = noun
        self._by_type = reactions.by_type
        self._setbacks = Setbacks(pool, store.sweep_of(noun))

    async def hear(self, limit: int) -> int:
        """Reacts to up to `limit` events, the oldest first; returns how many.

        An event that fails keeps no other waiting: it is noted, and tried again by itself.
        """
        event_ids = await store.unheard(self._pool, self._noun, limit=limit)
        return await self._setbacks.each(event_ids, self._react)

    def second_tries(self) -> dict[str, Work]:
        """Returns how events are tried again that the noun failed on."""
        return {store.sweep_of(self._noun): self._react}

    async def _react(self, event_ids: Sequence[str]) -> int:
        return await retry_serialization(lambda: self._react_once(event_ids))

    async def _react_once(self, event_ids: Sequence[str]) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            events = await store.take(connection, self._noun, event_ids)
            of_reactions: dict[React, list[Event]] = {}
            for event in events:
                of_reactions.setdefault(self._by_type[event.type], []).append(event)
            for react, some in of_reactions.items():
                await react(connection, some)
        return len(events)
