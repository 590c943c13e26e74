"""Forgetting people.

Rows that name a person go at once: account, contacts, codes, sessions, messages. Orders stay, because sums
are made of them, but under an alias and without what the buyer told. A running order is left alone until it
ends: its payment needs the buyer's method. A row in `erasures` therefore stays as long as anything is left to
do, and workers look again and again. Orders of a join that raced the erasure are found the same way, until
the last access token has expired.

Redis knows buyers too. The lanes that know one are told after each step, and none is rebuilt for it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from groups.setbacks import Setbacks
from pintuan.base.personal import Erased
from pintuan.people.identity.erased import TOKENS_MS
from sql import load_queries
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groups.engine import GroupEngine
    from groups.setbacks import Work
    from pintuan.base.personal import Personal
    from sql import Connection


ALIAS_BYTES: Final = 12
ROWS_PER_STEP: Final = 200
# Each erasure is looked at again, at first soon and later less often.
LOOK_MIN_MS: Final = 2_000
LOOK_MAX_MS: Final = 30_000

STORE_TROUBLE: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

ERASURES: Final = load_queries(__package__, "erasures")
_logger = structlog.get_logger("pintuan.people.personal")


async def insert_erasure(connection: Connection, subject: str) -> None:
    """Notes that a subject asked to be forgotten; rows that name it go in the same transaction."""
    await connection.execute(ERASURES["insert_erasure"], subject, f"erased_{secrets.token_hex(ALIAS_BYTES)}")


class Eraser:
    """Takes erased people out of rows that stay; any number of processes may have one.

    `nouns` are all that keep something about people.
    """

    def __init__(self, pool: asyncpg.Pool, engine: GroupEngine, nouns: Sequence[Personal]) -> None:
        self._pool = pool
        self._engine = engine
        self.nouns = tuple(nouns)
        self._staying = [noun.staying for noun in nouns if noun.staying is not None]
        self._setbacks = Setbacks(pool, "erasures")

    async def look(self, limit: int) -> int:
        """Looks at up to `limit` erasures that are due; returns how many of them have more to do at once.

        An erasure that cannot be carried on delays no other: it leaves the queue for the setbacks.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: Postgres is away.
        """
        rows = await self._pool.fetch(ERASURES["due_erasures"], limit)
        unfinished = 0
        for row in rows:
            unfinished += await self._setbacks.each([row["subject"]], self._scrub_some)
        return unfinished

    def second_tries(self) -> dict[str, Work]:
        """Returns how erasures are tried again that could not be carried on."""
        return {"erasures": self._scrub_some}

    async def _scrub_some(self, subjects: Sequence[str]) -> int:
        return sum([await self.scrub(subject, rows_max=ROWS_PER_STEP) for subject in subjects])

    async def scrub(self, subject: str, *, rows_max: int) -> bool:
        """Takes a subject out of up to `rows_max` rows of each noun; says whether there may be more at once.

        Raises:
            asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError: Postgres
                refused, or was away.
        """
        more, order_ids = await retry_serialization(lambda: self._step(subject, rows_max))
        # A lane forgets a buyer after the seats that ended.
        await self._engine.release_seats_of(order_ids)
        await retry_serialization(lambda: self._tell_lanes(subject))
        return more

    async def _step(self, subject: str, rows_max: int) -> tuple[bool, list[str]]:
        """Returns whether a noun may have more rows, and the orders whose lanes hear of their seats first."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(ERASURES["lock_erasure"], subject, TOKENS_MS)
            if row is None:
                return False, []
            erased = Erased(subject=subject, alias=row["alias"], holders=row["holders"], until=row["until"])
            done = [await staying.scrub(connection, erased, rows_max) for staying in self._staying]
            if row["is_past"] and not await self._any_left(connection, erased):
                await connection.execute(ERASURES["finish_erasure"], subject)
            more = any(scrubbed.rows == rows_max for scrubbed in done)
            if not more:
                await connection.execute(ERASURES["look_later"], subject, LOOK_MIN_MS, LOOK_MAX_MS)
        if rows := sum(scrubbed.rows for scrubbed in done):
            _logger.info("orders scrubbed", orders=rows)
        return more, [order_id for scrubbed in done for order_id in scrubbed.order_ids]

    async def _any_left(self, connection: Connection, erased: Erased) -> bool:
        """Says whether a row made before the last token had expired still has the subject."""
        return any([await staying.any_left(connection, erased) for staying in self._staying])

    async def _tell_lanes(self, subject: str) -> None:
        """Tells lanes of notes from earlier transactions; a row stays until its lane was told."""
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchrow(ERASURES["lock_erasure"], subject, TOKENS_MS) is not None:
                await self._engine.forget_buyer(connection, subject)
