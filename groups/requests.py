"""Requests that change an order once: the key they came under is recorded beside the change."""

from __future__ import annotations

from typing import Any

from groups.errors import IdempotencyKeyReused
from sql import load_queries

LIFECYCLE = load_queries("groups.queries", "lifecycle")
PLACEMENTS = load_queries("groups.queries", "placements")


async def is_first(connection: Any, *, request_id: bytes, body_digest: bytes, order_id: str) -> bool:
    """Records a request in the transaction at hand; False when it had been recorded with the same body.

    Raises IdempotencyKeyReused when it was recorded with another body.
    """
    recorded = await connection.fetchval(LIFECYCLE["record_key"], request_id, body_digest, order_id)
    if recorded is not None:
        return True
    known = await connection.fetchrow(PLACEMENTS["recorded_request"], request_id)
    if known["body_digest"] != body_digest:
        raise IdempotencyKeyReused("the idempotency key was used with a different body")
    return False
