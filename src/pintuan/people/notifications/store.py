"""Messages in Postgres, one typed function per statement; their content is sealed before it gets here."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from groups.setbacks import Broom
from pintuan.people.contacts.channels import Channel
from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from sql import Connection


NOTIFICATIONS = load_queries(__package__)

Ending = Literal["sent", "failed", "expired"]
State = Literal["due", "in_flight", "sent", "failed", "expired"]


class Taken(msgspec.Struct, frozen=True):
    """A message taken for delivery; `attempts` counts this one, and tells it from a later taking."""

    id: str
    kind: str
    channel: Channel
    awaited: bool
    sender: str
    destination: str
    sealed: bytes
    attempts: int
    outlived: bool


class Room(msgspec.Struct, frozen=True):
    """The further messages that may be on their way at once by a channel: awaited ones, and others."""

    channel: Channel
    awaited: int
    unasked: int


class Readable(msgspec.Struct, frozen=True):
    """A message that has not been wiped."""

    channel: Channel
    sealed: bytes
    created_at: datetime


class Listed(msgspec.Struct, frozen=True):
    """A message without what it says."""

    id: str
    kind: str
    channel: Channel
    state: State
    created_at: datetime
    ended_at: datetime | None


async def insert_notification(
    connection: Connection,
    *,
    notification_id: str,
    kind: str,
    channel: Channel,
    recipient_digest: bytes,
    sealed: bytes,
    lifetime_ms: int,
    delay_ms: int,
    awaited: bool,
    sender: str,
    destination: str,
) -> None:
    """Adds a message that is due after `delay_ms`."""
    await connection.execute(
        NOTIFICATIONS["insert_notification"],
        notification_id,
        kind,
        channel,
        recipient_digest,
        sealed,
        lifetime_ms,
        delay_ms,
        awaited,
        sender,
        destination,
    )


async def supersede(connection: Connection, recipient_digests: Sequence[bytes], kind: str) -> None:
    """Gives up what still waits to be delivered to a recipient."""
    await connection.execute(NOTIFICATIONS["supersede_notifications"], recipient_digests, kind)


async def take_due(
    pool: asyncpg.Pool,
    rooms: Sequence[Room],
    under_way: Mapping[tuple[Channel, str], int],
    *,
    awaited_under_way: Mapping[tuple[Channel, str], int],
    per_sender: int,
    lease_ms: int,
) -> list[Taken]:
    """Takes for `lease_ms` what is due and there is room for.

    `under_way` counts the messages nobody waits for, by channel and sender; `per_sender` is the most of each.
    `awaited_under_way` counts the others, by channel and destination.
    """
    rows = await pool.fetch(
        NOTIFICATIONS["take_due_notifications"],
        [room.channel for room in rooms],
        [room.awaited for room in rooms],
        [room.unasked for room in rooms],
        [channel for channel, _ in under_way],
        [sender for _, sender in under_way],
        list(under_way.values()),
        per_sender,
        lease_ms,
        [channel for channel, _ in awaited_under_way],
        [destination for _, destination in awaited_under_way],
        list(awaited_under_way.values()),
    )
    return [Taken(**row) for row in rows]


async def end(pool: asyncpg.Pool, taken: Taken, state: Ending, failure: str | None, *, keep: bool) -> None:
    """Records how a message ended; `keep` leaves it readable for a while."""
    await pool.execute(NOTIFICATIONS["end_notification"], taken.id, taken.attempts, state, failure, keep)


async def replace_notification(
    pool: asyncpg.Pool,
    taken: Taken,
    failure: str,
    *,
    keep: bool,
    notification_id: str,
    channel: Channel,
    recipient_digest: bytes,
    sealed: bytes,
    destination: str,
) -> None:
    """Records that a message failed and adds another in its place; nothing if it was taken again since."""
    await pool.execute(
        NOTIFICATIONS["replace_notification"],
        taken.id,
        taken.attempts,
        failure,
        keep,
        notification_id,
        channel,
        recipient_digest,
        sealed,
        destination,
    )


async def postpone(pool: asyncpg.Pool, taken: Taken, *, delay_ms: int, failure: str) -> None:
    """Lets a message be taken again after `delay_ms`."""
    await pool.execute(NOTIFICATIONS["postpone_notification"], taken.id, taken.attempts, delay_ms, failure)


async def wipe(pool: asyncpg.Pool, *, readable_ms: int, limit: int) -> int:
    """Wipes up to `limit` messages that ended long enough ago; returns how many."""
    broom = Broom(
        pool,
        "readable messages",
        due=NOTIFICATIONS["notifications_to_wipe"],
        drop=NOTIFICATIONS["wipe_notifications"],
        arguments=[readable_ms],
    )
    return await broom.sweep(limit)


async def purge(pool: asyncpg.Pool, *, age_ms: int, limit: int) -> int:
    """Forgets up to `limit` messages that ended longer ago than `age_ms`; returns how many."""
    broom = Broom(
        pool,
        "old messages",
        due=NOTIFICATIONS["notifications_to_purge"],
        drop=NOTIFICATIONS["purge_notifications"],
        arguments=[age_ms],
    )
    return await broom.sweep(limit)


async def drop(connection: Connection, recipient_digests: Sequence[bytes]) -> None:
    """Forgets every message to a recipient."""
    await connection.execute(NOTIFICATIONS["drop_notifications"], recipient_digests)


async def list_of_recipient(
    connection: Connection, recipient_digests: Sequence[bytes], *, limit: int
) -> list[Listed]:
    """Lists the newest messages to a recipient."""
    rows = await connection.fetch(NOTIFICATIONS["list_notifications"], recipient_digests, limit)
    return [Listed(**row) for row in rows]


async def list_readable(
    pool: asyncpg.Pool, recipient_digests: Sequence[bytes] | None, *, limit: int
) -> list[Readable]:
    """Lists the newest messages that can be read, of everybody or of one recipient."""
    rows = await pool.fetch(NOTIFICATIONS["readable_notifications"], recipient_digests, limit)
    return [Readable(**row) for row in rows]
