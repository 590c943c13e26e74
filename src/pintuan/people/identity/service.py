"""What people see of themselves, and how they are forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec
import structlog

from pintuan.buying.groups.store import order_of
from pintuan.people.activity.changes import changed
from pintuan.people.activity.log import note
from pintuan.people.contacts.contacts import Contact
from pintuan.people.contacts.sealed import mask, open_contact
from pintuan.people.identity import store
from pintuan.people.identity.codes import account_of
from pintuan.people.identity.schemas import (
    ExportedInvite,
    ExportedNotification,
    ExportedOrder,
    ExportedSession,
    Me,
)
from pintuan.people.notifications import store as notifications
from pintuan.people.personal.erasures import STORE_TROUBLE, Eraser, insert_erasure, require_not_erased
from pintuan.reach.invites import store as invites
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from pintuan.base.auth import Principal, Role
    from pintuan.bootstrap import Resources
    from pintuan.people.identity.store import Connection, Place, Profile
    from pintuan.reach.invites.store import ExportedRow

SESSIONS_EXPORTED_MAX: Final = 1_000
NOTIFICATIONS_EXPORTED_MAX: Final = 1_000
INVITES_EXPORTED_MAX: Final = 1_000
ORDERS_PER_PAGE: Final = 500
# Those a caller waits for; workers do the others within a second or two.
ORDERS_SCRUBBED_AT_ONCE: Final = 50
# Far more than anybody orders; the export ends all the same if pages never do.
PAGES_MAX: Final = 10_000

_logger = structlog.get_logger("pintuan.people.identity")
_encode = msgspec.json.Encoder().encode


async def get_me(resources: Resources, principal: Principal) -> Me:
    """Returns the caller; raises Unauthenticated for one who was erased."""
    await require_not_erased(resources.pool, principal.subject)
    async with resources.pool.acquire() as connection:
        return _me_of(principal, await store.select_account(connection, principal.subject))


async def export(resources: Resources, principal: Principal) -> AsyncIterator[bytes]:
    """Returns the parts of one JSON document shaped as `schemas.Export`, with all orders, read page by page.

    Raises:
        Unauthenticated: the caller was erased.
    """
    await require_not_erased(resources.pool, principal.subject)
    async with resources.pool.acquire() as connection:
        profile = await store.select_account(connection, principal.subject)
        sessions = await store.list_sessions(connection, principal.subject, limit=SESSIONS_EXPORTED_MAX)
        messages = await notifications.list_of_recipient(
            connection, _digests_of(resources, principal.subject, profile), limit=NOTIFICATIONS_EXPORTED_MAX
        )
        sent = await invites.export_invites(connection, principal.subject, limit=INVITES_EXPORTED_MAX)
    head = {
        "me": _me_of(principal, profile),
        "sessions": [ExportedSession(**msgspec.structs.asdict(session)) for session in sessions],
        "notifications": [ExportedNotification(**msgspec.structs.asdict(message)) for message in messages],
        "invites": [_exported_invite(resources, invite) for invite in sent],
    }
    return _document(head, _orders(resources.pool, principal.subject))


async def erase(resources: Resources, principal: Principal) -> None:
    """Forgets the caller; workers go on with many orders, and with those that run when they have ended.

    Raises:
        Unauthenticated: the caller was erased already.
    """
    subject = principal.subject
    await require_not_erased(resources.pool, subject)

    async def transaction() -> None:
        async with resources.pool.acquire() as connection, connection.transaction():
            await _drop_person(connection, resources, subject)
            await insert_erasure(connection, subject)

    await retry_serialization(transaction)
    resources.verifier.refuse(subject)
    try:
        await Eraser(resources.pool, resources.engine).scrub(subject, orders_max=ORDERS_SCRUBBED_AT_ONCE)
    except STORE_TROUBLE as error:
        # The erasure stands, and the workers look at it within seconds.
        _logger.warning("orders are scrubbed later", error=repr(error))


async def grant(pool: asyncpg.Pool, contact: Contact, role: Role) -> str:
    """Gives the contact's account a role, made now where it has none; returns the account's id."""

    async def transaction() -> str:
        async with pool.acquire() as connection, connection.transaction():
            account = await account_of(connection, contact)
            await store.set_role(connection, account.id, role)
            merchant_id = account.id if role == "merchant" else None
            await note(connection, merchant_id, [account.id], changed({"role": account.role}, {"role": role}))
            return account.id

    return await retry_serialization(transaction)


async def _drop_person(connection: Connection, resources: Resources, subject: str) -> None:
    profile = await store.select_account(connection, subject)
    digests = _digests_of(resources, subject, profile)
    mailboxes = [
        digest
        for contact in _contacts_of(subject, profile)
        for digest in contact.person_digests(resources.keyring)
    ]
    await invites.drop_person(connection, subject, mailboxes)
    await notifications.drop(connection, digests)
    if profile is None:
        return
    await store.drop_codes(connection, digests)
    await store.forget_clients(connection, digests)
    await store.drop_account(connection, subject)


async def _document(
    head: dict[str, object], orders: AsyncIterator[list[ExportedOrder]]
) -> AsyncIterator[bytes]:
    yield _encode(head)[:-1] + b',"orders":['
    separator = b""
    async for page in orders:
        yield separator + b",".join(_encode(order) for order in page)
        separator = b","
    yield b"]}"


async def _orders(pool: asyncpg.Pool, buyer_id: str) -> AsyncIterator[list[ExportedOrder]]:
    """Yields pages that have at least one order."""
    after: Place | None = None
    for _ in range(PAGES_MAX):
        rows = await store.export_orders(pool, buyer_id, after=after, limit=ORDERS_PER_PAGE)
        if rows:
            yield [_exported(row) for row in rows]
        if len(rows) < ORDERS_PER_PAGE:
            return
        after = (rows[-1]["created_at"], rows[-1]["id"])


def _exported(row: asyncpg.Record) -> ExportedOrder:
    order = order_of(row)
    return ExportedOrder(
        **{field: getattr(order, field) for field in order.__struct_fields__},
        ship_to=row["ship_to"],
        invite_code=row["invite_code"],
        payment_method=row["payment_method"],
    )


def _exported_invite(resources: Resources, invite: ExportedRow) -> ExportedInvite:
    recipient = None if invite.sealed is None else open_contact(resources.keyring, invite.sealed)
    return ExportedInvite(
        group_id=invite.group_id,
        channel=invite.channel,
        recipient=None if recipient is None else mask(recipient),
        created_at=invite.created_at,
        opened_at=invite.opened_at,
    )


def _me_of(principal: Principal, profile: Profile | None) -> Me:
    return Me(
        id=principal.subject,
        role=principal.role,
        email=profile.email if profile else None,
        phone=profile.phone if profile else None,
        language=profile.language if profile else None,
        created_at=profile.created_at if profile else None,
    )


def _digests_of(resources: Resources, subject: str, profile: Profile | None) -> list[bytes]:
    """Returns the keyed hashes under which the person's contacts may be kept."""
    contacts = _contacts_of(subject, profile)
    return [digest for contact in contacts for digest in contact.digests(resources.keyring)]


def _contacts_of(subject: str, profile: Profile | None) -> list[Contact]:
    contacts = [Contact("user", subject)]
    if profile is not None and profile.email is not None:
        contacts.append(Contact("email", profile.email))
    if profile is not None and profile.phone is not None:
        contacts.append(Contact("phone", profile.phone))
    return contacts
