"""What people are told of the invitations they sent, and how those are forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.people.contacts.channels import Channel
from pintuan.people.contacts.sealed import mask, open_contact
from pintuan.reach.invites.schemas import ExportedInvite
from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

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


async def export_invites(connection: Connection, inviter_id: str, *, limit: int) -> list[ExportedRow]:
    """Returns the newest invitations a person sent, to any group."""
    rows = await connection.fetch(INVITES["export_invites"], inviter_id, limit)
    return [ExportedRow(**row) for row in rows]


async def drop_person(connection: Connection, person_id: str, digests: Sequence[bytes]) -> None:
    """Forgets the invitations a person sent or was sent, and takes back what was not sent yet."""
    await connection.execute(INVITES["drop_messages_of_inviter"], person_id)
    await connection.execute(INVITES["drop_invites"], person_id, digests)


def exported_invite(keyring: Keyring, invite: ExportedRow) -> ExportedInvite:
    """Returns the invitation as its sender is told of it; whom it went to is shown in part."""
    recipient = None if invite.sealed is None else open_contact(keyring, invite.sealed)
    return ExportedInvite(
        group_id=invite.group_id,
        channel=invite.channel,
        recipient=None if recipient is None else mask(recipient),
        created_at=invite.created_at,
        opened_at=invite.opened_at,
    )
