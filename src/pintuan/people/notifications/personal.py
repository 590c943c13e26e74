"""The part of an export about messages, and how they are forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.base.personal import Chapter, Person, Personal, Whole
from pintuan.people.notifications import store
from pintuan.people.notifications.schemas import ExportedNotification

if TYPE_CHECKING:
    from pintuan.base.keyring import Keyring
    from sql import Connection

NOTIFICATIONS_EXPORTED_MAX: Final = 1_000


async def _read(connection: Connection, _: Keyring, person: Person) -> list[ExportedNotification]:
    messages = await store.list_of_recipient(connection, person.digests, limit=NOTIFICATIONS_EXPORTED_MAX)
    return [ExportedNotification(**msgspec.structs.asdict(message)) for message in messages]


async def _forget(connection: Connection, person: Person) -> None:
    await store.drop(connection, person.digests)


PERSONAL: Final = Personal(
    tables=("notifications",),
    export=(
        Whole(
            name="notifications",
            shape=list[ExportedNotification],
            description="The newest first.",
            chapter=Chapter.MESSAGES,
            read=_read,
        ),
    ),
    forget=_forget,
)
