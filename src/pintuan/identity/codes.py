"""Sign-in codes: six digits, sent to a contact, good once and for ten minutes.

Neither the answer nor its time tells whether somebody has an account: nothing here looks at accounts before
the right code was told.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

from groups.errors import Overloaded
from groups.ids import new_id
from pintuan.errors import InvalidInput
from pintuan.identity import limits, store
from pintuan.identity.store import Account
from pintuan.locales import DEFAULT_LANGUAGE, translations_for
from pintuan.notifications.channels import channels_of
from pintuan.notifications.message import Message
from pintuan.notifications.service import enqueue
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from pintuan.auth.keyring import Keyring
    from pintuan.bootstrap import Resources
    from pintuan.identity.contacts import Contact
    from pintuan.identity.store import Connection
    from pintuan.locales import Language

CODE_DIGITS: Final = 6
CODE_LIFETIME_S: Final = 600
ATTEMPTS_PER_CODE_MAX: Final = 5
# Two processes may make the account of one contact at once; each retry finds what the other committed.
CLAIMS_MAX: Final = 3
NOTIFICATION_KIND: Final = "sign_in_code"
_NAMES: Final = {"email": "e-mail", "phone": "text message"}


async def send_code(
    resources: Resources, contact: Contact, *, client_key: str, language: Language = DEFAULT_LANGUAGE
) -> None:
    """Makes a new code the contact's only one, and has it sent in a language.

    Raises:
        InvalidInput: messages of this kind are not delivered here.
        RateLimited: too many were sent to the contact, or asked for by the client.
    """
    if contact.channel not in channels_of(resources.settings):
        raise InvalidInput.of(
            contact.kind, f"signing in by {_NAMES[contact.kind]} is not set up on this server"
        )
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    message = message_of(contact, code, language)
    keyring = resources.keyring
    contact_digests = contact.digests(keyring)
    client_digest = hmac.digest(keyring.subkey("contact"), f"client:{client_key}".encode(), hashlib.sha256)

    async def transaction() -> None:
        async with resources.pool.acquire() as connection, connection.transaction():
            if resources.settings.rate_limits:
                mailbox_digest = contact.mailbox.digests(keyring)[0]
                await limits.count(connection, limits.CODES_PER_CONTACT, mailbox_digest)
                await limits.count(connection, limits.CODES_PER_CLIENT, client_digest)
            await store.put_code(
                connection,
                contact_digests,
                code_digests(keyring, contact, code)[0],
                lifetime_ms=CODE_LIFETIME_S * 1000,
            )
            await enqueue(
                connection,
                keyring,
                message,
                kind=NOTIFICATION_KIND,
                lifetime_ms=CODE_LIFETIME_S * 1000,
                supersedes=True,
            )

    await retry_serialization(transaction)
    resources.doorbells.ring("notifications")


def message_of(contact: Contact, code: str, language: Language) -> Message:
    """Returns the message that brings a code."""
    said, minutes = translations_for(language), CODE_LIFETIME_S // 60
    text = said.ngettext(
        "%(code)s is your sign-in code for Pintuan. It works once, within %(num)s minute.",
        "%(code)s is your sign-in code for Pintuan. It works once, within %(num)s minutes.",
        minutes,
    ) % {"code": code, "num": minutes}
    warning = said.gettext("Nobody from Pintuan will ever ask you for it.")
    return Message(
        channel=contact.channel,
        to=contact.address,
        subject=said.gettext("Your Pintuan sign-in code"),
        text=f"{text} {warning}",
        code=code,
    )


async def take_code(connection: Connection, keyring: Keyring, contact: Contact, code: str) -> bool:
    """Uses the contact's code up if `code` is it; a wrong one is counted. Commit either way.

    Raises:
        RateLimited: too many wrong codes were tried for the contact; not even the right one works now.
    """
    contact_digests = contact.digests(keyring)
    locked = await store.lock_code(connection, contact_digests, attempts_max=ATTEMPTS_PER_CODE_MAX)
    if locked is None:
        return False
    await limits.refuse_above(connection, limits.WRONG_ANSWERS_PER_CONTACT, contact_digests[0])
    right = [
        hmac.compare_digest(digest, locked.code_digest) for digest in code_digests(keyring, contact, code)
    ]
    if any(right):
        await store.drop_codes(connection, contact_digests)
        return True
    await store.count_attempt(connection, locked)
    await limits.count(connection, limits.WRONG_ANSWERS_PER_CONTACT, contact_digests[0])
    return False


async def account_of(connection: Connection, contact: Contact) -> Account:
    """Returns the contact's account, made now where it has none; it stays until the transaction ends.

    Raises:
        Overloaded: others made and erased the account again and again meanwhile.
    """
    for _ in range(CLAIMS_MAX):
        known = await store.account_of_contact(connection, contact)
        if known is not None:
            return known
        made = Account(new_id("usr"), "buyer")
        await store.insert_account(connection, made)
        if await store.claim_contact(connection, contact, made.id) == made.id:
            return made
        # Somebody else was faster; what they committed is there to be found now.
        await store.drop_account(connection, made.id)
    raise Overloaded("the account is being changed, try again")


def code_digests(keyring: Keyring, contact: Contact, code: str) -> list[bytes]:
    """Returns the keyed hashes a code may be kept under, the current one first."""
    text = f"{contact.kind}:{contact.address}:{code}".encode()
    return [hmac.digest(key, text, hashlib.sha256) for key in keyring.subkeys("otp").values()]
