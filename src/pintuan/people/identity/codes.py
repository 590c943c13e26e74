"""Sign-in codes: six digits, sent to a contact, good once and for ten minutes.

Neither the answer nor its time tells whether an account exists: nothing here looks at accounts before the
right code was told.
"""

from __future__ import annotations

import hashlib
import hmac
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from groups.ids import new_id
from pintuan.base.errors import Overloaded, RateLimited
from pintuan.base.limits import count_where_room, is_full, refuse_above
from pintuan.base.locales import translations_for
from pintuan.http.client_address import neighbourhood_of
from pintuan.people.contacts import typed
from pintuan.people.identity import limits, store
from pintuan.people.identity.metrics import SIGN_IN_CODES
from pintuan.people.identity.store import Account
from pintuan.people.notifications.letter import Letter
from pintuan.people.notifications.topics import Topic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pintuan.base.keyring import Keyring
    from pintuan.base.limits import Limit
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


class _Caller(msgspec.Struct, frozen=True):
    """A client that answers for a contact, by keyed hashes."""

    contact_digests: Sequence[bytes]
    client_digest: bytes
    neighbourhood_digest: bytes


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
            so many wrong codes are tried for all contacts that this code takes no more answers.
    """
    code = typed.code(code)
    caller = _caller_of(keyring, contact, client_key)
    digests = code_digests(keyring, contact, code)
    asked = await store.lock_asked_codes(connection, caller.contact_digests)
    own = next((one for one in asked if one.client_digest == caller.client_digest), None)
    if own is not None:
        is_right = await _is_own(connection, caller, own, digests)
    else:
        is_right = await _is_newest(connection, caller, digests)
    if is_right:
        await store.drop_codes(connection, caller.contact_digests)
        await store.know_client(
            connection,
            caller.contact_digests[0],
            caller.client_digest,
            others_max=limits.CLIENTS_KNOWN_MAX - 1,
        )
    return is_right


def _caller_of(keyring: Keyring, contact: Contact, client_key: str) -> _Caller:
    return _Caller(
        contact.digests(keyring),
        client_digest_of(keyring, client_key),
        client_digest_of(keyring, neighbourhood_of(client_key)),
    )


async def _is_own(connection: Connection, caller: _Caller, own: AskedCode, digests: Sequence[bytes]) -> bool:
    """Judges the answer of a client that asked for the code itself; no others' answers count against it."""
    if own.attempts >= ATTEMPTS_PER_CODE_MAX:
        return False
    await _refuse_under_spray(connection, caller, own.attempts)
    if _matches(own.code_digest, digests):
        return True
    await store.count_asked_attempt(connection, own)
    await _count_towards_spray(connection, caller)
    return False


async def _is_newest(connection: Connection, caller: _Caller, digests: Sequence[bytes]) -> bool:
    """Judges the answer of a client that asked for no code, such as a phone that has changed its network."""
    newest = await store.lock_code(connection, caller.contact_digests, attempts_max=ATTEMPTS_PER_CODE_MAX)
    if newest is None:
        return False
    contact_digest = caller.contact_digests[0]
    both_digest = caller_digest(contact_digest, caller.client_digest)
    await _refuse_under_spray(connection, caller, newest.attempts)
    for limit in limits.WRONG_ANSWERS_OF_STRANGERS:
        await refuse_above(connection, limit, contact_digest)
    await refuse_above(connection, limits.WRONG_ANSWERS_PER_STRANGER, both_digest)
    if _matches(newest.code_digest, digests):
        return True
    await store.count_attempt(connection, newest)
    for limit in limits.WRONG_ANSWERS_OF_STRANGERS:
        await count_where_room(connection, limit, contact_digest)
    await count_where_room(connection, limits.WRONG_ANSWERS_PER_STRANGER, both_digest)
    await _count_towards_spray(connection, caller)
    return False


async def _refuse_under_spray(connection: Connection, caller: _Caller, attempts: int) -> None:
    """Raises RateLimited where a spray is going on and a code was answered wrongly often enough for that."""
    if attempts < limits.ANSWERS_UNDER_SPRAY_MAX:
        return
    is_known = await store.is_known_client(
        connection, caller.contact_digests, caller.client_digest, known_ms=limits.CLIENT_KNOWN_MS
    )
    if not is_known:
        await refuse_above(connection, limits.WRONG_ANSWERS_PER_NEIGHBOURHOOD, caller.neighbourhood_digest)
        await refuse_above(connection, limits.WRONG_ANSWERS_IN_ALL, IN_ALL)


async def _count_towards_spray(connection: Connection, caller: _Caller) -> None:
    """Counts a wrong answer in the caller's neighbourhood, and in all while its share of that lasts."""
    await _has_counted(connection, limits.WRONG_ANSWERS_PER_NEIGHBOURHOOD, caller.neighbourhood_digest)
    if not await is_full(connection, limits.WRONG_ANSWERS_IN_ALL, IN_ALL) and await _has_counted(
        connection, limits.WRONG_ANSWERS_TOWARDS_ALL, caller.neighbourhood_digest
    ):
        await _has_counted(connection, limits.WRONG_ANSWERS_IN_ALL, IN_ALL)


async def _has_counted(connection: Connection, limit: Limit, key_digest: bytes) -> bool:
    """Counts and says so where there is room; where there is none no lock is waited for."""
    return not await is_full(connection, limit, key_digest) and await count_where_room(
        connection, limit, key_digest
    )


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
