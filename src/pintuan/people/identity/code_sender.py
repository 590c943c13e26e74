"""Sends sign-in codes."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from pintuan.base.errors import InvalidInput
from pintuan.base.limits import count
from pintuan.base.locales import DEFAULT_LANGUAGE
from pintuan.http.client_address import wide_key_of
from pintuan.people.identity import limits, store
from pintuan.people.identity.codes import (
    CODE_DIGITS,
    CODE_LIFETIME_S,
    caller_digest,
    client_digest_of,
    code_digests,
    counted_refusals,
    letter_of,
)
from pintuan.people.identity.metrics import SIGN_IN_CODES
from sql.retry import retry_serialization

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.keyring import Keyring
    from pintuan.base.locales import Language
    from pintuan.base.stores.doorbells import Doorbells
    from pintuan.people.contacts.contacts import Contact
    from pintuan.people.identity.turns import Turns
    from pintuan.people.notifications.post import Post
    from sql import Connection

_NAMES: Final = {"email": "e-mail", "phone": "text message"}


class CodeSender:
    """Makes codes and has them sent; `turns` are those of the process.

    `rate_limits` is off for load tests alone.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        keyring: Keyring,
        post: Post,
        turns: Turns,
        doorbells: Doorbells,
        *,
        rate_limits: bool,
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._post = post
        self._turns = turns
        self._doorbells = doorbells
        self._rate_limits = rate_limits

    async def send(self, contact: Contact, *, client_key: str, language: Language = DEFAULT_LANGUAGE) -> None:
        """Makes a new code the only one that this client has for the contact, and has it sent in a language.

        Codes that other clients asked for go on working where they were asked for.

        Raises:
            InvalidInput: messages of this kind are not delivered here.
            RateLimited: too many were sent to the contact, or asked for by the client.
            Overloaded: others take too long to sign in with the contact.
        """
        if contact.channel not in self._post.channels:
            raise InvalidInput.of(
                contact.kind, f"signing in by {_NAMES[contact.kind]} is not set up on this server"
            )
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
        client_digest = client_digest_of(self._keyring, client_key)

        async def transaction() -> None:
            async with self._pool.acquire() as connection, connection.transaction():
                if self._rate_limits:
                    await _count_code(connection, self._keyring, contact, client_key)
                await self._write(connection, contact, code, client_digest, language)

        async with self._turns.turn(contact.digests(self._keyring)[0]):
            with counted_refusals():
                await retry_serialization(transaction)
        SIGN_IN_CODES.labels("asked").inc()
        self._doorbells.ring("notifications")

    async def _write(
        self, connection: Connection, contact: Contact, code: str, client_digest: bytes, language: Language
    ) -> None:
        contact_digests = contact.digests(self._keyring)
        await store.put_code(
            connection,
            contact_digests,
            client_digest,
            code_digests(self._keyring, contact, code)[0],
            lifetime_ms=CODE_LIFETIME_S * 1000,
        )
        await self._post.write(connection, letter_of(contact, code, language))


async def _count_code(connection: Connection, keyring: Keyring, contact: Contact, client_key: str) -> None:
    """Counts a code that is asked for, where messages to the contact arrive; raises RateLimited."""
    mailbox_digest, contact_digests = contact.mailbox.digests(keyring)[0], contact.digests(keyring)
    client_digest = client_digest_of(keyring, client_key)
    for limit in limits.CODES_PER_CALLER:
        await count(connection, limit, caller_digest(mailbox_digest, client_digest))
    known = await store.is_known_client(
        connection, contact_digests, client_digest, known_ms=limits.CLIENT_KNOWN_MS
    )
    if not known:
        for limit in limits.CODES_FOR_STRANGERS:
            await count(connection, limit, mailbox_digest)
    await count(connection, limits.CODES_PER_CLIENT, client_digest)
    wide_key = wide_key_of(client_key)
    if wide_key is not None:
        await count(connection, limits.CODES_PER_WIDE_NETWORK, client_digest_of(keyring, wide_key))
