"""Writes down what somebody did, in the transaction that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from groups.ids import new_id
from pintuan.base.auth.acting import current_actor
from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from pintuan.people.activity.changes import Changes

QUERIES: Final = load_queries(__package__)


async def note(
    connection: asyncpg.Connection | PoolConnectionProxy,
    merchant_id: str | None,
    object_ids: Sequence[str],
    changes: Changes | None = None,
) -> None:
    """Adds an entry for the actor; without an actor who answers for it, nothing is added.

    `merchant_id` says whose business it is, None that it is the platform's alone. `connection` is in the
    transaction of the change, so that there is either both or neither.
    """
    actor = current_actor()
    if actor is None:
        return
    await connection.execute(
        QUERIES["note_activity"],
        new_id("act"),
        merchant_id,
        actor.subject,
        actor.role,
        actor.credential,
        actor.credential_id,
        actor.action,
        list(object_ids),
        changes or {},
        actor.request_id,
        actor.address,
    )
