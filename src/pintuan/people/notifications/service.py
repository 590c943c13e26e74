"""Writing messages down, and reading them back while they can be read.

A message is first of all a row, written in the transaction of its cause. Nothing is announced that did not
happen, and no announcement is lost with a process.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.fernet import InvalidToken

from groups.ids import new_id
from pintuan.people.contacts import typed
from pintuan.people.contacts.digests import recipient_digests
from pintuan.people.notifications import store
from pintuan.people.notifications.destinations import destination_digest
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.schemas import OutboxItem

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.keyring import Keyring
    from pintuan.people.notifications.store import Taken
    from sql import Connection

OUTBOX_SIZE_MAX: Final = 200
_NO_DIGITS: Final = re.compile(r"[^0-9]+")


async def enqueue(
    connection: Connection,
    keyring: Keyring,
    message: Message,
    *,
    kind: str,
    lifetime_ms: int,
    delay_ms: int = 0,
    awaited: bool = False,
    sender: str = "",
) -> str:
    """Writes a message in the caller's transaction and returns its id; ring `notifications` after the commit.

    It is delivered after `delay_ms` at the earliest, and after `lifetime_ms` it is not worth delivering.
    `awaited` says that its recipient asked for it and waits. `sender` is the merchant whose sale it is about.
    """
    digests = recipient_digests(keyring, message.channel, message.to)
    notification_id = new_id("ntf")
    await store.insert_notification(
        connection,
        notification_id=notification_id,
        kind=kind,
        channel=message.channel,
        recipient_digest=digests[0],
        sealed=seal(keyring, message),
        lifetime_ms=lifetime_ms,
        delay_ms=delay_ms,
        awaited=awaited,
        sender=sender,
        destination=destination_digest(keyring, message.channel, message.to),
    )
    return notification_id


async def replace(
    pool: asyncpg.Pool, keyring: Keyring, taken: Taken, message: Message, failure: str, *, keep: bool
) -> None:
    """Ends a message that was taken, and writes another in its place, which is due now and lasts as long."""
    await store.replace_notification(
        pool,
        taken,
        failure,
        keep=keep,
        notification_id=new_id("ntf"),
        channel=message.channel,
        recipient_digest=recipient_digests(keyring, message.channel, message.to)[0],
        sealed=seal(keyring, message),
        destination=destination_digest(keyring, message.channel, message.to),
    )


def seal(keyring: Keyring, message: Message) -> bytes:
    """Returns the message encrypted under the current key."""
    return keyring.fernet("notification").encrypt(msgspec.json.encode(message))


def unseal(keyring: Keyring, sealed: bytes) -> Message | None:
    """Returns the message, or None when its key is no longer accepted."""
    try:
        return msgspec.json.decode(keyring.fernet("notification").decrypt(sealed), type=Message)
    except InvalidToken:
        return None


async def read_outbox(pool: asyncpg.Pool, keyring: Keyring, to: str | None) -> list[OutboxItem]:
    """Returns the newest messages that were not wiped, newest first, of everybody or of one recipient."""
    digests = None
    if to is not None:
        digests = [
            *recipient_digests(keyring, "email", typed.seen(to).lower()),
            # A plus sign that was not escaped arrives as a space.
            *recipient_digests(keyring, "sms", "+" + _NO_DIGITS.sub("", typed.number(to))),
            *recipient_digests(keyring, "push", to),
        ]
    rows = await store.list_readable(pool, digests, limit=OUTBOX_SIZE_MAX)
    opened = ((row, unseal(keyring, row.sealed)) for row in rows)
    return [
        OutboxItem(
            channel=row.channel,
            to=message.to,
            text=message.text,
            code=message.code,
            created_at=row.created_at,
        )
        for row, message in opened
        if message is not None
    ]
