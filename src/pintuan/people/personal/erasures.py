"""Forgetting people.

What names a person goes at once: account, contacts, codes, sessions, messages. Orders stay, because sums are
made of them, but under an alias and without what the buyer told. One that runs is left alone until it ends:
its payment needs the buyer's method. So a row in `erasures` stays for as long as anything is left to do, and
workers look again and again. Orders of a join that raced the erasure are found the same way, until the last
access token has expired.

Redis knows buyers too. The lanes that know one are told after each step, and none is rebuilt for it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from groups.setbacks import Setbacks
from pintuan.buying.archive.store import bring_back_of_erased
from pintuan.buying.orders.personal import scrub_orders
from pintuan.people.identity.erased import TOKENS_MS
from sql import load_queries
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groups.engine import GroupEngine
    from groups.setbacks import Work
    from sql import Connection


ALIAS_BYTES: Final = 12
ORDERS_PER_STEP: Final = 200
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
    """Notes that a subject asked to be forgotten; what names it goes in the same transaction."""
    await connection.execute(ERASURES["insert_erasure"], subject, f"erased_{secrets.token_hex(ALIAS_BYTES)}")


class Eraser:
    """Takes erased people out of orders that are over; any number of processes may have one."""

    def __init__(self, pool: asyncpg.Pool, engine: GroupEngine) -> None:
        self._pool = pool
        self._engine = engine
        self._setbacks = Setbacks(pool, "erasures")

    async def look(self, limit: int) -> int:
        """Looks at up to `limit` erasures that are due; returns how many of them have more to do at once.

        One that cannot be carried on delays no other: it leaves the queue for the setbacks.

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
        return sum([await self.scrub(subject, orders_max=ORDERS_PER_STEP) for subject in subjects])

    async def scrub(self, subject: str, *, orders_max: int) -> bool:
        """Takes a subject out of up to `orders_max` orders that are over; says whether there may be more.

        Raises:
            asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError: Postgres
                refused, or was away.
        """
        orders, order_ids = await retry_serialization(lambda: self._step(subject, orders_max))
        # A lane forgets a buyer after the seats that ended.
        await self._engine.release_seats_of(order_ids)
        await retry_serialization(lambda: self._tell_lanes(subject))
        return orders == orders_max

    async def _step(self, subject: str, orders_max: int) -> tuple[int, list[str]]:
        """Returns how many orders got the alias, and those that it looked at."""
        async with self._pool.acquire() as connection, connection.transaction():
            erasure = await connection.fetchrow(ERASURES["lock_erasure"], subject)
            if erasure is None:
                return 0, []
            await bring_back_of_erased(connection, subject, tokens_ms=TOKENS_MS, limit=orders_max)
            ended = await connection.fetch(ERASURES["lock_ended_orders"], subject, TOKENS_MS, orders_max)
            order_ids = [row["id"] for row in ended]
            orders = await scrub_orders(
                connection, subject, erasure["alias"], order_ids, holders=erasure["holders"]
            )
            await connection.execute(ERASURES["finish_erasure"], subject, TOKENS_MS)
            if orders < orders_max:
                await connection.execute(ERASURES["look_later"], subject, LOOK_MIN_MS, LOOK_MAX_MS)
        if orders:
            _logger.info("orders scrubbed", orders=orders)
        return orders, order_ids

    async def _tell_lanes(self, subject: str) -> None:
        """Tells lanes of what earlier transactions noted; a row stays until its lane was told."""
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchrow(ERASURES["lock_erasure"], subject) is not None:
                await self._engine.forget_buyer(connection, subject)
