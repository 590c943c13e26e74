"""The part of an export about sent invitations, and how those are forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.base.personal import Chapter, Person, Personal, Whole
from pintuan.people.contacts.channels import Channel
from pintuan.people.contacts.sealed import mask, open_contact
from pintuan.reach.invites.schemas import ExportedInvite
from sql import load_queries

if TYPE_CHECKING:
    from pintuan.base.keyring import Keyring
    from sql import Connection

INVITES_EXPORTED_MAX: Final = 1_000

INVITES: Final = load_queries(__package__)


class ExportedRow(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation as its sender may take it away; `sealed` is whom it went to."""

    group_id: str
    channel: Channel
    sealed: bytes | None
    created_at: datetime
    opened_at: datetime | None


async def _read(connection: Connection, keyring: Keyring, person: Person) -> list[ExportedInvite]:
    rows = await connection.fetch(INVITES["export_invites"], person.subject, INVITES_EXPORTED_MAX)
    return [_exported(keyring, ExportedRow(**row)) for row in rows]


def _exported(keyring: Keyring, invite: ExportedRow) -> ExportedInvite:
    """Returns the invitation as its sender is told of it; its recipient is shown in part."""
    recipient = None if invite.sealed is None else open_contact(keyring, invite.sealed)
    return ExportedInvite(
        group_id=invite.group_id,
        channel=invite.channel,
        recipient=None if recipient is None else mask(recipient),
        created_at=invite.created_at,
        opened_at=invite.opened_at,
    )


async def _forget(connection: Connection, person: Person) -> None:
    """Drops the invitations a person sent or was sent, and takes back messages that were not sent yet."""
    await connection.execute(INVITES["drop_messages_of_inviter"], person.subject)
    await connection.execute(INVITES["drop_invites"], person.subject, person.mailbox_digests)


PERSONAL: Final = Personal(
    tables=("invites",),
    export=(
        Whole(
            name="invites",
            shape=list[ExportedInvite],
            description="Those the person sent, the newest first.",
            chapter=Chapter.MESSAGES,
            read=_read,
        ),
    ),
    forget=_forget,
)
