"""Stopping invitations or nudges: one click, no account, and it holds for every sender.

The token in a link is the encrypted address, with the kind of messages it stops. No row is therefore kept for
every message ever sent, and the link works as long as its key is accepted.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.fernet import InvalidToken

from groups.setbacks import Setbacks
from pintuan.base.errors import NotFound
from pintuan.people.consents import store
from pintuan.people.consents.stoppable import Stoppable
from pintuan.people.contacts.contacts import Contact, ContactKind
from pintuan.people.contacts.sealed import open_contact, seal_contact

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from pintuan.base.keyring import Keyring
    from sql import Connection

PATH: Final = "/v1/unsubscribe/"
TOKEN_CHARS_MAX: Final = 1_000


class Stop(msgspec.Struct, frozen=True):
    """The content of a link: the recipient, and the kind of messages to stop. Links of older messages name
    none.
    """

    kind: ContactKind
    address: str
    topic: Stoppable = "invite"

    @property
    def contact(self) -> Contact:
        """The recipient of the message."""
        return Contact(self.kind, self.address)


def stop_url_of(keyring: Keyring, share_base: str, contact: Contact, topic: Stoppable) -> str:
    """Returns the link by which a recipient stops messages of a kind."""
    stop = Stop(contact.kind, contact.address, topic)
    token = keyring.fernet("unsubscribe").encrypt(msgspec.json.encode(stop))
    return f"{share_base.removesuffix('/g/')}{PATH}{token.decode('ascii').rstrip('=')}"


def stop_of_token(keyring: Keyring, token: str) -> Stop:
    """Returns what a link says; raises NotFound for one that is not ours or too old."""
    if len(token) > TOKEN_CHARS_MAX or not token.isascii():
        raise NotFound("link")
    try:
        # Without its padding, for programs between mail and browser escape it. Links of older mails have it.
        padded = token + "=" * (-len(token) % 4)
        return msgspec.json.decode(keyring.fernet("unsubscribe").decrypt(padded.encode()), type=Stop)
    except InvalidToken:
        raise NotFound("link") from None


async def unsubscribed(connection: Connection, digests: Sequence[bytes], topic: Stoppable) -> set[bytes]:
    """Returns those of the hashes whose owners want no messages of a kind."""
    return await store.unsubscribed(connection, digests, topic)


async def note(connection: Connection, keyring: Keyring, stop: Stop) -> None:
    """Notes for good that a recipient wants no messages of a kind; noting it twice changes nothing."""
    mailbox = stop.contact.mailbox
    await store.unsubscribe(
        connection,
        mailbox.digests(keyring)[0],
        stop.topic,
        kid=keyring.kid,
        sealed=seal_contact(keyring, mailbox),
    )


async def reseal(pool: asyncpg.Pool, keyring: Keyring, limit: int) -> int:
    """Makes up to `limit` hashes again that a former key made; returns how many.

    A digest whose key is no longer accepted is dropped, because nothing can be compared with it again.
    """
    names = await store.unsubscribes_to_reseal(pool, keyring.kid, limit=limit)
    return await Setbacks(pool, "unsubscribes").each(names, partial(_reseal, pool, keyring))


async def _reseal(pool: asyncpg.Pool, keyring: Keyring, names: Sequence[str]) -> int:
    async with pool.acquire() as connection, connection.transaction():
        stale = await store.stale_unsubscribes(connection, keyring.kid, names)
        for (digest, topic), sealed in stale.items():
            await store.drop_unsubscribe(connection, digest, topic)
            contact = open_contact(keyring, sealed)
            if contact is not None:
                await store.unsubscribe(
                    connection,
                    contact.digests(keyring)[0],
                    topic,
                    kid=keyring.kid,
                    sealed=seal_contact(keyring, contact),
                )
    return len(stale)
