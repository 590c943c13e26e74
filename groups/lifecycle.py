"""Moves groups along `open -> closing -> settling -> succeeded | failed`, each step in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from groups.errors import Overloaded
from groups.keys import Lane
from groups.lane_store import LaneCold, LaneStore
from groups.listeners import Listeners, Outcome
from groups.setbacks import STORE_AWAY, Setbacks
from groups.settlement import decide
from sql import load_queries
from sql.retry import retry_serialization

QUERIES = load_queries("groups.queries", "lifecycle")
LANES = load_queries("groups.queries", "lanes")
# Held seats may resolve for this long after a group closed, and after the first attempt at their payment.
CLOSING_GRACE_MS = 10_000
# A closing group is watched for this long, by workers that look, until attempts at its held seats are made.
# Without a gateway it settles without them then; time in which no worker was there does not count.
UNTRIED_WATCH_MS = 300_000
# An unpaid order whose next attempt is due is looked at again after this long.
DUE_LOOK_MS = 5_000
# A payment still open this long after the settlement is left to its own escalation.
ESCALATION_MS = 300_000
# Between two looks at a group that waits for payments; each waits longer, so that others come first.
PAYMENTS_LOOK_MIN_MS = 50
PAYMENTS_LOOK_MAX_MS = 5_000
GROUPS_AT_ONCE_MAX = 4

_log = logging.getLogger("groups.lifecycle")


@dataclass(frozen=True, slots=True)
class Closed:
    """A group that stopped taking joins, for its lane to know."""

    lane: Lane
    group_id: str
    reason: str


@dataclass(slots=True)
class Advance:
    """The changes that one look at a group made, told once they are committed.

    `settled_late_s` is by how much the decision came after it was due; None when there was none.
    """

    changed: bool = False
    closed: Closed | None = None
    settled_late_s: float | None = None
    outcome: Outcome | None = None


class Lifecycle:
    """Closes, settles and ends groups that are due; `hold_ms` is how long an unpaid seat is kept."""

    def __init__(self, pool: asyncpg.Pool, store: LaneStore, listeners: Listeners, *, hold_ms: int) -> None:
        self._pool = pool
        self._store = store
        self._listeners = listeners
        self._setbacks = Setbacks(pool, "lifecycle")
        self._unpaid = Setbacks(pool, "expiry")
        self._hold_ms = hold_ms

    async def advance_due(self, limit: int) -> int:
        """Advances up to `limit` due groups as far as they can go now; returns how many changed state.

        A group that cannot be advanced delays no other: it leaves the queue for the setbacks.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: Postgres is away.
        """
        rows = await self._pool.fetch(QUERIES["due_groups"], limit)
        slots = asyncio.Semaphore(GROUPS_AT_ONCE_MAX)

        async def advance(group_id: str) -> bool:
            async with slots:
                try:
                    return await self.advance(group_id)
                except STORE_AWAY:
                    raise
                except Exception as error:  # noqa: BLE001 - it is noted, and the other groups go on.
                    # At once: a round of groups that fail slowly may be given up before its end.
                    await self._setbacks.note({group_id: error})
                    return False

        outcomes = await asyncio.gather(*(advance(row["group_id"]) for row in rows), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return sum(outcome is True for outcome in outcomes)

    async def advance_all(self, group_ids: Sequence[str]) -> int:
        """Advances each of the groups; returns how many changed state."""
        return sum([await self.advance(group_id) for group_id in group_ids])

    async def advance(self, group_id: str) -> bool:
        """Advances one group; returns whether its state changed."""
        advance = await retry_serialization(lambda: self._advance(group_id))
        if advance.settled_late_s is not None:
            self._listeners.on_settled(advance.settled_late_s)
        if advance.outcome is not None:
            self._listeners.on_ended(advance.outcome)
        if advance.changed:
            self._listeners.on_changed([group_id])
        if advance.closed is not None:
            await self._tell_lane(advance.closed)
        return advance.changed

    async def _advance(self, group_id: str) -> Advance:
        advance = Advance()
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(QUERIES["try_group_lock"], group_id):
                return advance
            group: Any = await connection.fetchrow(QUERIES["lock_group"], group_id, ESCALATION_MS)
            status = group["status"]
            if status == "open":
                advance.closed = await self._close(connection, group)
                if advance.closed is None:
                    # It was full and somebody left: it would stay the longest due until its deadline.
                    await connection.execute(QUERIES["watch_open"], group_id)
                    return advance
                advance.changed, status = True, "closing"
            if status == "closing":
                grace_over = bool(group["grace_over"])
                advance.settled_late_s = await self._settle(connection, group, grace_over=grace_over)
                if advance.settled_late_s is None:
                    await connection.execute(
                        QUERIES["watch_closing"], group_id, PAYMENTS_LOOK_MIN_MS, PAYMENTS_LOOK_MAX_MS
                    )
                    return advance
                advance.changed, status = True, "settling"
            if status == "settling":
                advance.outcome = await self._end(connection, group)
                advance.changed = advance.changed or advance.outcome is not None
        return advance

    async def _close(self, connection: Any, group: asyncpg.Record) -> Closed | None:
        headcount = await connection.fetchval(QUERIES["group_headcount"], group["id"])
        full = headcount >= group["capacity"]
        if not full and not group["overdue"]:
            return None
        await connection.execute(QUERIES["close_group"], group["id"], CLOSING_GRACE_MS)
        return Closed(Lane(group["deal_id"], group["lane_no"]), group["id"], "full" if full else "closed")

    async def _settle(self, connection: Any, group: asyncpg.Record, *, grace_over: bool) -> float | None:
        """Fixes headcount, price and every payment to make; answers by how many seconds that was late.

        Answers None while held seats may still resolve.
        """
        await connection.execute(QUERIES["lock_members"], group["id"])
        members = await connection.fetchrow(QUERIES["count_members"], group["id"], CLOSING_GRACE_MS)
        awaited = members["awaited"] and members["watched_ms"] < UNTRIED_WATCH_MS
        if members["held"] and (awaited or not grace_over):
            return None
        if members["awaited"]:
            _log.warning("group %s settles without %d seats never tried", group["id"], members["awaited"])
        decision = decide(
            group["tier_headcounts"],
            group["tier_prices_minor"],
            min_headcount=group["min_headcount"],
            headcount=members["authorised"],
        )
        # Orders end in one statement each way: a second would lock buyers after the first locked the lane.
        if decision.succeeded:
            if members["held"]:
                await connection.execute(QUERIES["exclude_held"], group["id"])
            await connection.execute(QUERIES["charge_members"], group["id"], decision.unit_price_minor)
        else:
            await connection.execute(QUERIES["release_members"], group["id"])
        await connection.execute(
            QUERIES["settle_group"], group["id"], decision.headcount, decision.unit_price_minor
        )
        late_s: float = members["late_s"]
        return late_s

    async def _end(self, connection: Any, group: asyncpg.Record) -> Outcome | None:
        # The next look is set before payments are read, so that a payment that ends meanwhile brings it
        # forward. It is always set, so that groups that wait for payments do not crowd out those that are
        # due.
        await connection.execute(
            QUERIES["watch_settling"], group["id"], PAYMENTS_LOOK_MIN_MS, PAYMENTS_LOOK_MAX_MS
        )
        payments_open = await connection.fetchval(QUERIES["has_open_operations"], group["id"])
        if payments_open and not group["escalation_due"]:
            return None
        if payments_open:
            _log.warning("group %s ended with payments still open", group["id"])
        outcome: Outcome = await connection.fetchval(QUERIES["end_group"], group["id"])
        await connection.execute(QUERIES["unwatch_group"], group["id"])
        return outcome

    async def _tell_lane(self, closed: Closed) -> None:
        """Spares joins a way to Postgres; a lane that misses this learns it from the first refusal."""
        epoch = await self._pool.fetchval(LANES["lane_epoch"], closed.lane.deal_id, closed.lane.lane_no)
        try:
            await self._store.close_groups(closed.lane, epoch, [(closed.group_id, closed.reason)])
        except (LaneCold, Overloaded) as error:
            _log.info("lane %s was not told that %s closed: %r", closed.lane, closed.group_id, error)

    async def expire_unpaid(self, limit: int) -> int:
        """Expires orders that were not paid in their hold time, counted from the first attempt at it.

        Looks at up to `limit` whose time seems over, and returns at how many it looked.
        """
        rows = await self._pool.fetch(QUERIES["due_unpaid"], limit)
        return await self._unpaid.each([row["id"] for row in rows], self.expire_orders)

    async def expire_orders(self, order_ids: Sequence[str]) -> int:
        """Expires those of the orders whose time is over and gives the others theirs; returns at how many."""
        rows = await retry_serialization(
            lambda: self._pool.fetch(QUERIES["expire_unpaid"], order_ids, self._hold_ms, DUE_LOOK_MS)
        )
        expired = [row["group_id"] for row in rows if row["status"] == "expired"]
        self._listeners.on_changed([group_id for group_id in expired if group_id is not None])
        return len(rows)
