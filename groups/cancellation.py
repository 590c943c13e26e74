"""Cancelling an order while its group is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg

from groups.errors import CancelLocked, NotCancellable, OrderNotFound
from groups.requests import is_first
from sql import load_queries
from sql.retry import retry_serialization

LIFECYCLE = load_queries("groups.queries", "lifecycle")


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A buyer's wish to leave; the key and digest work as in `groups.placement.Placement`."""

    order_id: str
    buyer_id: str
    request_id: bytes
    body_digest: bytes


async def cancel_order(pool: asyncpg.Pool, cancellation: Cancellation) -> str | None:
    """Cancels an order and returns its group's id, or None; repeated with the same key it changes nothing.

    The seat reaches Redis by its row in `seat_releases`, written in the same transaction.

    Raises OrderNotFound (also for somebody else's order), NotCancellable, CancelLocked, or
    IdempotencyKeyReused.
    """
    return await retry_serialization(lambda: _cancel(pool, cancellation))


async def _cancel(pool: asyncpg.Pool, cancellation: Cancellation) -> str | None:
    order_id = cancellation.order_id
    async with pool.acquire() as connection, connection.transaction():
        found = await connection.fetchrow(LIFECYCLE["order_to_cancel"], order_id, cancellation.buyer_id)
        if found is None:
            raise OrderNotFound(f"no order {order_id}")
        group_id: str | None = found["group_id"]
        # Locks the group before the order, as everywhere; rows that others committed meanwhile are read after
        # both locks.
        if group_id is not None:
            await connection.fetchrow(LIFECYCLE["lock_group_of_order"], group_id)
        await connection.fetchrow(LIFECYCLE["lock_order"], order_id)
        first = await is_first(
            connection,
            request_id=cancellation.request_id,
            body_digest=cancellation.body_digest,
            order_id=order_id,
        )
        if not first:
            return group_id
        _check(await connection.fetchrow(LIFECYCLE["cancel_verdict"], order_id))
        await connection.execute(LIFECYCLE["cancel_order"], order_id)
    return group_id


def _check(verdict: Any) -> None:
    if verdict["status"] not in ("held", "authorised"):
        raise NotCancellable(f"an order that is {verdict['status']} cannot be cancelled")
    if verdict["group_id"] is None:
        if verdict["status"] != "held":
            raise NotCancellable("the order is paid for; ask the merchant for a refund")
        return
    if verdict["group_status"] != "open" or verdict["overdue"]:
        raise NotCancellable("the group has closed")
    if verdict["locked"]:
        raise CancelLocked("leaving would raise the price above what another member was promised")
