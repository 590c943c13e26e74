"""Gives a person everything that is kept about them, and forgets them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from pintuan.buying.orders.personal import exported_orders
from pintuan.people.api_keys.service import delete_keys
from pintuan.people.identity import store
from pintuan.people.identity.erased import require_not_erased
from pintuan.people.identity.schemas import ExportedSession
from pintuan.people.identity.service import contacts_of, me_of
from pintuan.people.merchants.service import wait_for_merchant
from pintuan.people.notifications import store as notifications
from pintuan.people.notifications.schemas import ExportedNotification
from pintuan.people.personal.erasures import STORE_TROUBLE, Eraser, insert_erasure
from pintuan.reach.invites import personal as invites
from pintuan.selling.webhooks.service import delete_endpoints
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from pintuan.base.auth import Principal
    from pintuan.base.keyring import Keyring
    from pintuan.base.process import Resources
    from pintuan.buying.orders.schemas import ExportedOrder
    from pintuan.people.identity.store import Profile
    from sql import Connection


# Those a caller waits for; workers do the others within a second or two.
ORDERS_SCRUBBED_AT_ONCE: Final = 50
SESSIONS_EXPORTED_MAX: Final = 1_000
NOTIFICATIONS_EXPORTED_MAX: Final = 1_000

_encode: Final = msgspec.json.Encoder().encode
_logger = structlog.get_logger("pintuan.people.personal")


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
            connection,
            _digests_of(resources.keyring, principal.subject, profile),
            limit=NOTIFICATIONS_EXPORTED_MAX,
        )
        sent = await invites.export_invites(connection, principal.subject, limit=invites.INVITES_EXPORTED_MAX)
    head = {
        "me": me_of(principal, profile),
        "sessions": [ExportedSession(**msgspec.structs.asdict(session)) for session in sessions],
        "notifications": [ExportedNotification(**msgspec.structs.asdict(message)) for message in messages],
        "invites": [invites.exported_invite(resources.keyring, invite) for invite in sent],
    }
    return _document(head, exported_orders(resources.pool, principal.subject))


async def erase(resources: Resources, principal: Principal) -> None:
    """Forgets the caller; workers go on with many orders, and with those that run when they have ended.

    Raises:
        Unauthenticated: the caller was erased already.
    """
    subject = principal.subject
    await require_not_erased(resources.pool, subject)

    async def transaction() -> None:
        async with resources.pool.acquire() as connection, connection.transaction():
            profile = await store.select_account(connection, subject)
            digests = _digests_of(resources.keyring, subject, profile)
            # A sign-in locks its codes before anything else, and so does whoever drops them.
            await store.lock_asked_codes(connection, digests)
            # A key or an endpoint that is being made is waited for, and goes too.
            await wait_for_merchant(connection, subject)
            # While the contacts are there by which limits know the person again.
            await insert_erasure(connection, subject)
            await _drop_person(connection, resources.keyring, subject, profile, digests)
            await delete_keys(connection, subject)
            await delete_endpoints(connection, subject)

    await retry_serialization(transaction)
    resources.verifier.refuse(subject)
    try:
        await Eraser(resources.pool, resources.engine).scrub(subject, orders_max=ORDERS_SCRUBBED_AT_ONCE)
    except STORE_TROUBLE as error:
        # The erasure stands, and the workers look at it within seconds.
        _logger.warning("orders are scrubbed later", error=repr(error))


async def _drop_person(
    connection: Connection,
    keyring: Keyring,
    subject: str,
    profile: Profile | None,
    digests: Sequence[bytes],
) -> None:
    mailboxes = [
        digest for contact in contacts_of(subject, profile) for digest in contact.person_digests(keyring)
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


def _digests_of(keyring: Keyring, subject: str, profile: Profile | None) -> list[bytes]:
    """Returns the keyed hashes under which the person's contacts may be kept."""
    contacts = contacts_of(subject, profile)
    return [digest for contact in contacts for digest in contact.digests(keyring)]
