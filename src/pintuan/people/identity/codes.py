"""Sign-in codes: six digits, sent to a contact, good once and for ten minutes.

Neither the answer nor its time tells whether an account exists: nothing here looks at accounts before the
right code was told.
"""

from __future__ import annotations

import hashlib
import hmac
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from groups.ids import new_id
from pintuan.base.errors import Overloaded, RateLimited
from pintuan.base.limits import count_where_room, is_full, refuse_above
from pintuan.base.locales import translations_for
from pintuan.people.contacts import typed
from pintuan.people.identity import limits, store
from pintuan.people.identity.metrics import SIGN_IN_CODES
from pintuan.people.identity.store import Account
from pintuan.people.notifications.letter import Letter
from pintuan.people.notifications.topics import Topic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pintuan.base.keyring import Keyring
    from pintuan.base.locales import Language
    from pintuan.people.contacts.contacts import Contact
    from pintuan.people.identity.store import AskedCode
    from sql import Connection

CODE_DIGITS: Final = 6
CODE_LIFETIME_S: Final = 600
ATTEMPTS_PER_CODE_MAX: Final = 5
IN_ALL: Final = hashlib.sha256(b"every contact and client").digest()
"""The one key of counts over all of them."""
# Two processes may make the account of one contact at once; each retry finds what the other committed.
CLAIMS_MAX: Final = 3


@contextmanager
def counted_refusals() -> Iterator[None]:
    """Counts what a limit refuses within the block."""
    try:
        yield
    except RateLimited:
        SIGN_IN_CODES.labels("refused").inc()
        raise


def letter_of(contact: Contact, code: str, language: Language) -> Letter:
    """Returns the letter that brings a code."""
    said, minutes = translations_for(language), CODE_LIFETIME_S // 60
    text = said.ngettext(
        "%(code)s is your sign-in code for Pintuan. It works once, within %(num)s minute.",
        "%(code)s is your sign-in code for Pintuan. It works once, within %(num)s minutes.",
        minutes,
    ) % {"code": code, "num": minutes}
    warning = said.gettext("Nobody from Pintuan will ever ask you for it.")
    return Letter(
        to=(contact,),
        language=language,
        topic=Topic.SIGN_IN_CODE,
        title=said.gettext("Your Pintuan sign-in code"),
        text=f"{text} {warning}",
        lifetime_ms=CODE_LIFETIME_S * 1000,
        code=code,
    )


async def take_code(
    connection: Connection, keyring: Keyring, contact: Contact, code: str, *, client_key: str
) -> bool:
    """Uses the contact's codes up if `code`, as typed, is right; a wrong one is counted. Commit either way.

    The right code is the one sent when this client asked, whatever others ask for and guess meanwhile. For a
    client that asked for none it is the newest.

    Raises:
        RateLimited: clients that asked for none, as this one, tried too many wrong codes for the contact; or
            so many wrong codes are tried for all contacts that only clients that asked are listened to.
    """
    code = typed.code(code)
    contact_digests, client_digest = contact.digests(keyring), client_digest_of(keyring, client_key)
    asked = await store.lock_asked_codes(connection, contact_digests)
    own = next((one for one in asked if one.client_digest == client_digest), None)
    if own is not None:
        attempts_max = await _attempts_max(connection, contact_digests, client_digest)
        is_right = await _is_own(connection, own, code_digests(keyring, contact, code), attempts_max)
    else:
        caller = caller_digest(contact_digests[0], client_digest)
        is_right = await _is_newest(connection, contact_digests, caller, code_digests(keyring, contact, code))
    if is_right:
        await store.drop_codes(connection, contact_digests)
        await store.know_client(
            connection, contact_digests[0], client_digest, others_max=limits.CLIENTS_KNOWN_MAX - 1
        )
    return is_right


async def _attempts_max(
    connection: Connection, contact_digests: Sequence[bytes], client_digest: bytes
) -> int:
    """Returns how many answers a client has to a code it asked for."""
    if not await is_full(connection, limits.WRONG_ANSWERS_IN_ALL, IN_ALL):
        return ATTEMPTS_PER_CODE_MAX
    known = await store.is_known_client(
        connection, contact_digests, client_digest, known_ms=limits.CLIENT_KNOWN_MS
    )
    return ATTEMPTS_PER_CODE_MAX if known else limits.ATTEMPTS_UNDER_SPRAY_MAX


async def _is_own(
    connection: Connection, own: AskedCode, digests: Sequence[bytes], attempts_max: int
) -> bool:
    """Judges the answer of a client that asked for the code itself; no others' answers count against it."""
    if own.attempts >= attempts_max:
        return False
    if _matches(own.code_digest, digests):
        return True
    await store.count_asked_attempt(connection, own)
    await _count_in_all(connection)
    return False


async def _count_in_all(connection: Connection) -> None:
    """Counts a wrong answer of any client. Where there is no room no lock is waited for."""
    if not await is_full(connection, limits.WRONG_ANSWERS_IN_ALL, IN_ALL):
        await count_where_room(connection, limits.WRONG_ANSWERS_IN_ALL, IN_ALL)


async def _is_newest(
    connection: Connection, contact_digests: Sequence[bytes], caller: bytes, digests: Sequence[bytes]
) -> bool:
    """Judges the answer of a client that asked for no code, such as a phone that has changed its network."""
    newest = await store.lock_code(connection, contact_digests, attempts_max=ATTEMPTS_PER_CODE_MAX)
    if newest is None:
        return False
    await refuse_above(connection, limits.WRONG_ANSWERS_IN_ALL, IN_ALL)
    for limit in limits.WRONG_ANSWERS_OF_STRANGERS:
        await refuse_above(connection, limit, contact_digests[0])
    await refuse_above(connection, limits.WRONG_ANSWERS_PER_STRANGER, caller)
    if _matches(newest.code_digest, digests):
        return True
    await store.count_attempt(connection, newest)
    for limit in limits.WRONG_ANSWERS_OF_STRANGERS:
        await count_where_room(connection, limit, contact_digests[0])
    await count_where_room(connection, limits.WRONG_ANSWERS_PER_STRANGER, caller)
    await _count_in_all(connection)
    return False


def client_digest_of(keyring: Keyring, client_key: str) -> bytes:
    """Returns the keyed hash under which a client's address is kept."""
    return hmac.digest(keyring.subkey("contact"), f"client:{client_key}".encode(), hashlib.sha256)


def caller_digest(contact_digest: bytes, client_digest: bytes) -> bytes:
    """Returns what is counted under for one client and one contact together."""
    return hashlib.sha256(contact_digest + client_digest).digest()


def _matches(digest: bytes, digests: Sequence[bytes]) -> bool:
    """Compares with all of them, so that the time tells nothing."""
    matches = [hmac.compare_digest(one, digest) for one in digests]
    return any(matches)


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
        # Another call was faster; its committed account can be found now.
        await store.drop_account(connection, made.id)
    raise Overloaded("the account is being changed, try again")


def code_digests(keyring: Keyring, contact: Contact, code: str) -> list[bytes]:
    """Returns the keyed hashes a code may be kept under, the current one first."""
    text = f"{contact.kind}:{contact.address}:{code}".encode()
    return [hmac.digest(key, text, hashlib.sha256) for key in keyring.subkeys("otp").values()]
