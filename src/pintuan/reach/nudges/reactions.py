"""The nudges' reaction to events: members are told when their group ends, and at moments before that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.base.events.event import Event, Reactions
from pintuan.reach.nudges import store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sql import Connection


async def _plan(connection: Connection, opened: Sequence[Event]) -> None:
    await store.plan(connection, [event.object_id for event in opened])


async def _tell_succeeded(connection: Connection, ended: Sequence[Event]) -> None:
    await store.tell_outcome(connection, ended, "succeeded")


async def _tell_failed(connection: Connection, ended: Sequence[Event]) -> None:
    await store.tell_outcome(connection, ended, "failed")


REACTIONS: Final = Reactions(
    {"group.opened": _plan, "group.succeeded": _tell_succeeded, "group.failed": _tell_failed}, then="nudges"
)
