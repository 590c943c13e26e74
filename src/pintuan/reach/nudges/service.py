"""Tells the members of groups what is due.

Messages are written in the transaction that notes how far the members were told. Each is told once, even if a
process dies in between. A large group takes several rounds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from groups.setbacks import Setbacks
from pintuan.reach.nudges import store
from pintuan.reach.nudges.messages import letter_of
from pintuan.reach.nudges.timing import near_of, verdict_of
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from groups.setbacks import Work
    from pintuan.people.notifications.post import Post
    from pintuan.reach.nudges.store import DueNudge, Place
    from sql import Connection

MEMBERS_PER_ROUND: Final = 100
"""Of each nudge."""


class Nudger:
    """Tells a process' share of the nudges; any number of processes may have one.

    Links to groups begin as `share_base` does.
    """

    def __init__(self, pool: asyncpg.Pool, post: Post, *, share_base: str) -> None:
        self._pool = pool
        self._post = post
        self._share_base = share_base
        self._setbacks = Setbacks(pool, "nudges")

    async def tell_due(self, limit: int) -> int:
        """Looks at up to `limit` nudges that are due; returns how many there were."""
        names = await store.due(self._pool, limit=limit)
        return await self._setbacks.each(names, self.look)

    def second_tries(self) -> dict[str, Work]:
        """Returns how nudges are tried again that could not be told."""
        return {"nudges": self.look}

    async def look(self, names: Sequence[str]) -> int:
        """Looks at those nudges that are due; returns how many."""
        return await retry_serialization(lambda: self._look(names))

    async def _look(self, names: Sequence[str]) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            due = await store.take_due(connection, names)
            if not due:
                return 0
            verdicts = {nudge.place: verdict_of(nudge) for nudge in due}
            told = [nudge for nudge in due if verdicts[nudge.place] == "tell"]
            finished = [place for place, verdict in verdicts.items() if verdict == "drop"]
            delays_ms = {
                place: round(verdict.total_seconds() * 1000)
                for place, verdict in verdicts.items()
                if isinstance(verdict, timedelta)
            }
            if told:
                finished += await self._tell(connection, told)
            if delays_ms:
                await store.postpone(connection, delays_ms)
            if finished:
                await store.end(connection, finished)
        return len(due)

    async def _tell(self, connection: Connection, nudges: Sequence[DueNudge]) -> list[Place]:
        """Tells the next members of each; returns what there is nobody left to tell of."""
        found = await store.members_of(
            connection, nudges, limit=MEMBERS_PER_ROUND, with_unreachable="push" in self._post.channels
        )
        letters = [
            letter_of(nudge, member, share_base=self._share_base)
            for nudge in nudges
            for member in found[nudge.place]
        ]
        await self._post.write_all(connection, letters)
        finished: list[Place] = []
        last_told: dict[Place, str] = {}
        for nudge in nudges:
            members = found[nudge.place]
            if len(members) == MEMBERS_PER_ROUND:
                last_told[nudge.place] = members[-1].buyer_id
                continue
            finished.append(nudge.place)
            if nudge.kind == "hour_left" and near_of(nudge) is not None:
                # The news that a price is near was told as well.
                finished.append((nudge.group_id, "tier_near"))
        if last_told:
            await store.go_on_after(connection, last_told)
        return finished
