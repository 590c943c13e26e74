"""Codes, accounts and sessions in Postgres, one typed function per statement."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from groups.setbacks import Broom
from pintuan.base.auth import Role
from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from pintuan.base.locales import Language
    from pintuan.people.contacts.contacts import Contact
    from sql import Connection

    # A row's time of creation and its id.
    Place: TypeAlias = tuple[datetime, str]

IDENTITY = load_queries(__package__)


class Account(msgspec.Struct, frozen=True):
    """Somebody who can sign in."""

    id: str
    role: Role


class LockedCode(msgspec.Struct, frozen=True):
    """A code that can still be used, locked; the digests are keyed hashes.

    `attempts` are wrong answers of clients that did not ask for it.
    """

    contact_digest: bytes
    code_digest: bytes
    attempts: int


class AskedCode(msgspec.Struct, frozen=True):
    """The same for one client, and how often it was answered wrongly."""

    contact_digest: bytes
    client_digest: bytes
    code_digest: bytes
    attempts: int


class LockedSession(msgspec.Struct, frozen=True):
    """A session that runs, locked, with the hash of its newest token."""

    id: str
    account_id: str
    secret_digest: bytes


class Profile(msgspec.Struct, frozen=True):
    """An account with its contacts."""

    id: str
    created_at: datetime
    language: str | None
    email: str | None
    phone: str | None


class Session(msgspec.Struct, frozen=True):
    """A session as its owner may see it."""

    id: str
    created_at: datetime
    refreshed_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


async def put_code(
    connection: Connection,
    contact_digests: Sequence[bytes],
    client_digest: bytes,
    code_digest: bytes,
    *,
    lifetime_ms: int,
) -> None:
    """Makes a code the newest of a contact, and the only one that its client has for it."""
    current, *former = contact_digests
    if former:
        await connection.execute(IDENTITY["drop_codes"], former)
    await connection.execute(IDENTITY["put_asked_code"], current, client_digest, code_digest, lifetime_ms)
    await connection.execute(IDENTITY["put_code"], current, code_digest, lifetime_ms)


async def lock_code(
    connection: Connection, contact_digests: Sequence[bytes], *, attempts_max: int
) -> LockedCode | None:
    """Locks the contact's code; None when there is none, it expired, or it was tried too often."""
    row = await connection.fetchrow(IDENTITY["lock_code"], contact_digests, attempts_max)
    return None if row is None else LockedCode(**row)


async def lock_asked_codes(connection: Connection, contact_digests: Sequence[bytes]) -> list[AskedCode]:
    """Locks the codes of the contact that have not expired, of all clients."""
    rows = await connection.fetch(IDENTITY["lock_asked_codes"], contact_digests)
    return [AskedCode(**row) for row in rows]


async def count_asked_attempt(connection: Connection, code: AskedCode) -> None:
    """Counts a wrong answer of the client that asked."""
    await connection.execute(IDENTITY["count_asked_attempt"], code.contact_digest, code.client_digest)


async def is_known_client(
    connection: Connection, contact_digests: Sequence[bytes], client_digest: bytes, *, known_ms: int
) -> bool:
    """Says whether somebody signed in with the contact from there in the last `known_ms`."""
    known: bool = await connection.fetchval(
        IDENTITY["is_known_client"], contact_digests, client_digest, known_ms
    )
    return known


async def know_client(
    connection: Connection, contact_digest: bytes, client_digest: bytes, *, others_max: int
) -> None:
    """Notes that somebody signed in with the contact from there; so many others stay known."""
    await connection.execute(IDENTITY["know_client"], contact_digest, client_digest, others_max)


async def forget_clients(connection: Connection, contact_digests: Sequence[bytes]) -> None:
    """Forgets from where somebody signed in."""
    await connection.execute(IDENTITY["forget_clients"], contact_digests)


async def count_attempt(connection: Connection, code: LockedCode) -> None:
    """Counts a wrong answer."""
    await connection.execute(IDENTITY["count_attempt"], code.contact_digest)


async def drop_codes(connection: Connection, contact_digests: Sequence[bytes]) -> None:
    """Forgets the codes of a contact."""
    await connection.execute(IDENTITY["drop_codes"], contact_digests)


async def account_of_contact(connection: Connection, contact: Contact) -> Account | None:
    """Returns the contact's account, which stays until the transaction ends, or None."""
    row = await connection.fetchrow(IDENTITY["account_of_contact"], contact.kind, contact.address)
    return None if row is None else Account(**row)


async def insert_account(connection: Connection, account: Account) -> None:
    """Adds an account without contacts."""
    await connection.execute(IDENTITY["insert_account"], account.id, account.role)


async def claim_contact(connection: Connection, contact: Contact, account_id: str) -> str:
    """Gives the contact to an account unless another has it; returns the id of the one that has it now."""
    owner: str = await connection.fetchval(
        IDENTITY["claim_contact"], contact.kind, contact.address, account_id
    )
    return owner


async def drop_account(connection: Connection, account_id: str) -> bool:
    """Removes an account with its contacts and sessions; returns whether there was one."""
    return await connection.fetchval(IDENTITY["drop_account"], account_id) is not None


async def set_role(connection: Connection, account_id: str, role: Role) -> None:
    """Gives an account a role."""
    await connection.execute(IDENTITY["set_role"], account_id, role)


async def set_language(connection: Connection, account_id: str, language: Language) -> None:
    """Notes the language somebody reads."""
    await connection.execute(IDENTITY["set_language"], account_id, language)


async def select_account(connection: Connection, account_id: str) -> Profile | None:
    """Returns an account with its contacts, or None."""
    row = await connection.fetchrow(IDENTITY["select_account"], account_id)
    return None if row is None else Profile(**row)


async def insert_session(
    connection: Connection,
    *,
    session_id: str,
    account_id: str,
    family: bytes,
    secret_digest: bytes,
    lifetime_ms: int,
) -> None:
    """Begins a session; the account must be held by the transaction."""
    await connection.execute(
        IDENTITY["insert_session"], session_id, account_id, family, secret_digest, lifetime_ms
    )


async def lock_session(connection: Connection, family: bytes) -> LockedSession | None:
    """Locks the session a token names; None when it does not run."""
    row = await connection.fetchrow(IDENTITY["lock_session"], family)
    return None if row is None else LockedSession(**row)


async def role_of_account(connection: Connection, account_id: str) -> Role:
    """Returns the role an account has now; a session keeps its account in being."""
    role: Role = await connection.fetchval(IDENTITY["role_of_account"], account_id)
    return role


async def rotate_session(
    connection: Connection, session_id: str, secret_digest: bytes, *, lifetime_ms: int, lifetime_max_ms: int
) -> int:
    """Makes a token the session's newest; returns the seconds it can be used."""
    expires_in_s: int = await connection.fetchval(
        IDENTITY["rotate_session"], session_id, secret_digest, lifetime_ms, lifetime_max_ms
    )
    return expires_in_s


async def revoke_session(connection: Connection, session_id: str) -> None:
    """Ends a session for good."""
    await connection.execute(IDENTITY["revoke_session"], session_id)


async def revoke_sessions(connection: Connection, account_id: str) -> list[str]:
    """Ends all sessions of an account that run; returns their ids."""
    rows = await connection.fetch(IDENTITY["revoke_sessions"], account_id)
    return [row["id"] for row in rows]


async def list_sessions(connection: Connection, account_id: str, *, limit: int) -> list[Session]:
    """Returns an account's newest sessions."""
    rows = await connection.fetch(IDENTITY["list_sessions"], account_id, limit)
    return [Session(**row) for row in rows]


async def purge(pool: asyncpg.Pool, *, session_age_ms: int, known_ms: int, limit: int) -> int:
    """Forgets up to `limit` each of sessions, codes, clients and windows that are over; returns how many."""
    brooms = (
        Broom(
            pool,
            "sessions",
            due=IDENTITY["sessions_to_purge"],
            drop=IDENTITY["purge_sessions"],
            arguments=[session_age_ms],
        ),
        Broom(pool, "codes", due=IDENTITY["codes_to_purge"], drop=IDENTITY["purge_codes"]),
        Broom(pool, "asked codes", due=IDENTITY["asked_codes_to_purge"], drop=IDENTITY["purge_asked_codes"]),
        Broom(
            pool,
            "known clients",
            due=IDENTITY["known_clients_to_purge"],
            drop=IDENTITY["purge_known_clients"],
            arguments=[known_ms],
        ),
        Broom(pool, "windows", due=IDENTITY["windows_to_purge"], drop=IDENTITY["purge_windows"]),
    )
    return sum([await broom.sweep(limit) for broom in brooms])
