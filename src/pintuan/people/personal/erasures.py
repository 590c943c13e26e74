"""Forgetting people.

What names a person goes at once: account, contacts, codes, sessions, messages. Orders stay, because sums are
made of them, but under an alias and without what the buyer told. One that runs is left alone until it ends:
its payment needs the buyer's method. So a row in `erasures` stays for as long as anything is left to do, and
workers look again and again. Orders of a join that raced the erasure are found the same way, until the last
access token has expired.

Redis knows buyers too. It is told as of any change of a deal, by a raised epoch of the deal's lanes.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from groups.setbacks import Setbacks
from pintuan.buying.archive.store import bring_back_of_erased
from pintuan.buying.orders.personal import Step, scrub_orders
from pintuan.people.identity.erased import TOKENS_MS
from pintuan.shop.deals.service import tell_lanes
from sql import load_queries
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groups.engine import GroupEngine
    from groups.setbacks import Work
    from sql import Connection


ALIAS_BYTES: Final = 12
ORDERS_PER_STEP: Final = 200
DEALS_TOLD_AT_ONCE_MAX: Final = 8
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
        step = await retry_serialization(lambda: self._step(subject, orders_max))
        slots = asyncio.Semaphore(DEALS_TOLD_AT_ONCE_MAX)

        async def tell(deal_id: str) -> None:
            async with slots:
                await tell_lanes(self._engine, deal_id)

        await asyncio.gather(*(tell(deal_id) for deal_id in step.deal_ids))
        return step.orders == orders_max

    async def _step(self, subject: str, orders_max: int) -> Step:
        async with self._pool.acquire() as connection, connection.transaction():
            erasure = await connection.fetchrow(ERASURES["lock_erasure"], subject)
            if erasure is None:
                return Step(0, [])
            await bring_back_of_erased(connection, subject, tokens_ms=TOKENS_MS, limit=orders_max)
            ended = await connection.fetch(ERASURES["lock_ended_orders"], subject, TOKENS_MS, orders_max)
            order_ids = [row["id"] for row in ended]
            step = await scrub_orders(
                connection, subject, erasure["alias"], order_ids, holders=erasure["holders"]
            )
            await connection.execute(ERASURES["finish_erasure"], subject, TOKENS_MS)
            if step.orders < orders_max:
                await connection.execute(ERASURES["look_later"], subject, LOOK_MIN_MS, LOOK_MAX_MS)
        if step.orders:
            _logger.info("orders scrubbed", orders=step.orders, deals=len(step.deal_ids))
        return step
