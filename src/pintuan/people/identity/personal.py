"""The part of an export about account and sessions, and how both are forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.base.personal import Chapter, Person, Personal, Whole
from pintuan.people.identity import store
from pintuan.people.identity.schemas import ExportedSession, Me
from pintuan.people.identity.service import contacts_of, me_of

if TYPE_CHECKING:
    from pintuan.base.auth import Principal
    from pintuan.base.keyring import Keyring
    from sql import Connection

SESSIONS_EXPORTED_MAX: Final = 1_000


async def person_of(connection: Connection, keyring: Keyring, principal: Principal) -> Person:
    """Returns a caller with the hashes of their contacts; without an account those of their subject."""
    profile = await store.select_account(connection, principal.subject)
    contacts = contacts_of(principal.subject, profile)
    return Person(
        principal=principal,
        digests=[digest for contact in contacts for digest in contact.digests(keyring)],
        mailbox_digests=[digest for contact in contacts for digest in contact.person_digests(keyring)],
    )


async def _read_me(connection: Connection, _: Keyring, person: Person) -> Me:
    return me_of(person.principal, await store.select_account(connection, person.subject))


async def _read_sessions(connection: Connection, _: Keyring, person: Person) -> list[ExportedSession]:
    sessions = await store.list_sessions(connection, person.subject, limit=SESSIONS_EXPORTED_MAX)
    return [ExportedSession(**msgspec.structs.asdict(session)) for session in sessions]


async def _hold(connection: Connection, person: Person) -> None:
    """Locks the codes, as a sign-in does before anything else."""
    await store.lock_asked_codes(connection, person.digests)


async def _forget(connection: Connection, person: Person) -> None:
    await store.drop_codes(connection, person.digests)
    await store.forget_clients(connection, person.digests)
    await store.drop_account(connection, person.subject)


PERSONAL: Final = Personal(
    tables=("accounts", "contacts", "sign_in_codes", "asked_codes", "known_clients", "refresh_sessions"),
    export=(
        Whole(
            name="me",
            shape=Me,
            description="Account and contacts.",
            chapter=Chapter.ACCOUNT,
            read=_read_me,
        ),
        Whole(
            name="sessions",
            shape=list[ExportedSession],
            description="The newest first.",
            chapter=Chapter.ACCOUNT,
            read=_read_sessions,
        ),
    ),
    hold=_hold,
    forget=_forget,
)
