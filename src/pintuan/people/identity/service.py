"""People's view of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.people.contacts.contacts import Contact
from pintuan.people.identity import store
from pintuan.people.identity.codes import account_of
from pintuan.people.identity.erased import require_not_erased
from pintuan.people.identity.schemas import Me

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.auth import Principal, Role
    from pintuan.people.identity.store import Profile
    from sql import Connection


async def get_me(pool: asyncpg.Pool, principal: Principal) -> Me:
    """Returns the caller; raises Unauthenticated for one who was erased."""
    await require_not_erased(pool, principal.subject)
    async with pool.acquire() as connection:
        return me_of(principal, await store.select_account(connection, principal.subject))


async def give_role(connection: Connection, contact: Contact, role: Role) -> tuple[str, Role]:
    """Gives the contact's account a role, made now where it has none; returns its id and the former role."""
    account = await account_of(connection, contact)
    await store.set_role(connection, account.id, role)
    return account.id, account.role


def me_of(principal: Principal, profile: Profile | None) -> Me:
    """Returns what the caller is shown of themselves."""
    return Me(
        id=principal.subject,
        role=principal.role,
        email=profile.email if profile else None,
        phone=profile.phone if profile else None,
        language=profile.language if profile else None,
        created_at=profile.created_at if profile else None,
    )


def contacts_of(subject: str, profile: Profile | None) -> list[Contact]:
    """Returns every address by which the person may be known."""
    contacts = [Contact("user", subject)]
    if profile is not None and profile.email is not None:
        contacts.append(Contact("email", profile.email))
    if profile is not None and profile.phone is not None:
        contacts.append(Contact("phone", profile.phone))
    return contacts
