"""Inviting people to a group.

The answer to an inviter depends only on the inviter's own actions. It looks the same whether a recipient has
an account, was invited by others, has had too many invitations or wants none.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from groups.errors import GroupClosed
from pintuan.base import limits as windows
from pintuan.base.errors import FieldError, Forbidden, InvalidInput, NotFound, RateLimited
from pintuan.base.limits_store import lock_window
from pintuan.people.contacts.contacts import Contact, contact_of
from pintuan.people.contacts.digests import recipient_digests
from pintuan.people.contacts.sealed import mask, open_contact, seal_contact
from pintuan.people.identity.erased import require_not_erased
from pintuan.reach.invites import limits, store
from pintuan.reach.invites.messages import letter_of
from pintuan.reach.invites.schemas import Invite, InviteCounts, InviteOutcome, Invites, InviteState
from sql.retry import retry_serialization

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.keyring import Keyring
    from pintuan.base.locales import Language
    from pintuan.base.stores.doorbells import Doorbells
    from pintuan.people.contacts.channels import Channel
    from pintuan.people.notifications.letter import Letter
    from pintuan.people.notifications.post import Post
    from pintuan.reach.invites.schemas import NewInvites, Recipient
    from pintuan.reach.invites.store import InvitedGroup, SentInvite
    from sql import Connection

CODE_BYTES: Final = 12


class _Fresh(msgspec.Struct, frozen=True):
    """Somebody whom the inviter had not invited to the group; `is_known` says that somebody else had."""

    contact: Contact
    digest: bytes
    is_known: bool


class InviteSender:
    """Invites people to groups; any number of them may be made.

    `fictional` takes addresses of the domain `.test`. `rate_limits` is off for load tests alone.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        keyring: Keyring,
        post: Post,
        doorbells: Doorbells,
        *,
        share_base: str,
        fictional: bool,
        rate_limits: bool,
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._post = post
        self._doorbells = doorbells
        self._share_base = share_base
        self._fictional = fictional
        self._rate_limits = rate_limits

    async def send(
        self, group_id: str, inviter_id: str, body: NewInvites, *, client_key: str
    ) -> list[InviteOutcome]:
        """Invites people to a group; returns what is done about each, in their order.

        Nothing goes out before the inviter's seat is authorised, and nothing if it never is.

        Raises:
            NotFound: there is no such group.
            Forbidden: the inviter has no seat in it.
            GroupClosed: it cannot be joined any more.
            InvalidInput: a recipient is no address, or one that nothing is delivered to here.
            RateLimited: the inviter, the client or all members of the group have invited too many people.
        """
        await require_not_erased(self._pool, inviter_id)
        contacts = _contacts_of(body, self._post.channels, fictional=self._fictional)

        async def transaction() -> list[InviteOutcome]:
            async with self._pool.acquire() as connection, connection.transaction():
                group = await _open_group(connection, group_id, inviter_id)
                inviting = _Inviting(
                    connection, self._keyring, self._post, group_id, inviter_id, group, body.locale
                )
                fresh, outcomes = await inviting.choose(contacts)
                if self._rate_limits and fresh:
                    await inviting.count(len(fresh), client_key=client_key)
                await inviting.write(fresh, share_base=self._share_base)
                return outcomes

        outcomes = await retry_serialization(transaction)
        self._doorbells.ring("notifications")
        return outcomes


async def list_invites(
    pool: asyncpg.Pool, keyring: Keyring, group_id: str, inviter_id: str, *, share_base: str
) -> Invites:
    """Returns the inviter's own invitations; raises NotFound, and Forbidden for who never had a seat."""
    group = await store.select_group(pool, group_id, inviter_id)
    if group is None:
        raise NotFound("group")
    if not group.was_member:
        raise Forbidden("Only members of the group may see their invitations to it.")
    sent = await store.list_invites(pool, group_id, inviter_id, limit=limits.INVITES_PER_GROUP_MAX)
    return Invites(
        items=[_shown(keyring, one, link_of(share_base, group.share_code, one.code)) for one in sent],
        counts=InviteCounts(
            invited=len(sent),
            opened=sum(one.opened or one.joined for one in sent),
            joined=sum(one.joined for one in sent),
            authorised=sum(one.authorised for one in sent),
        ),
    )


def link_of(share_base: str, share_code: str, invite_code: str) -> str:
    """Returns the personal link to a group."""
    return f"{share_base}{share_code}?invite={invite_code}"


async def _open_group(connection: Connection, group_id: str, inviter_id: str) -> InvitedGroup:
    group = await store.select_group(connection, group_id, inviter_id)
    if group is None:
        raise NotFound("group")
    if group.seat_id is None:
        raise Forbidden("Only members of the group may invite to it.")
    if not group.joinable:
        raise GroupClosed
    return group


class _Inviting:
    """One request of an inviter, in its transaction."""

    def __init__(
        self,
        connection: Connection,
        keyring: Keyring,
        post: Post,
        group_id: str,
        inviter_id: str,
        group: InvitedGroup,
        language: Language,
    ) -> None:
        self._connection = connection
        self._keyring = keyring
        self._post = post
        self._group_id = group_id
        self._inviter_id = inviter_id
        self._group = group
        self._language = language

    async def choose(self, contacts: list[Contact]) -> tuple[list[_Fresh], list[InviteOutcome]]:
        """Locks the recipients; returns whom the inviter had not invited, and the outcome of each contact."""
        await store.lock_inviter(self._connection, self._group_id, self._inviter_id)
        digests = {contact: contact.person_digests(self._keyring) for contact in contacts}
        # Everybody takes them in the same order. Two inviters of one recipient go on one after the other.
        for digest in sorted({current for current, *_ in digests.values()}):
            await lock_window(self._connection, limits.INVITES_PER_RECIPIENT.scope, digest)
        candidates = [digest for some in digests.values() for digest in some]
        known = await store.known_recipients(self._connection, self._group_id, self._inviter_id, candidates)
        mine = {
            contact.mailbox for contact, some in digests.items() if any(known.get(digest) for digest in some)
        }
        first = {contact.mailbox: contact for contact in reversed(contacts)}
        fresh = [
            _Fresh(contact, digests[contact][0], is_known=any(digest in known for digest in digests[contact]))
            for mailbox, contact in reversed(first.items())
            if mailbox not in mine
        ]
        mailboxes = [contact.mailbox for contact in contacts]
        return fresh, [
            _outcome_of(contact, is_skipped=contact.mailbox in mine or contact.mailbox in mailboxes[:place])
            for place, contact in enumerate(contacts)
        ]

    async def count(self, count: int, *, client_key: str) -> None:
        """Raises RateLimited where these would be more than the inviter may invite."""
        before = await store.count_invites(self._connection, self._group_id, self._inviter_id)
        if before + count > limits.INVITES_PER_GROUP_MAX:
            raise RateLimited(
                f"One member invites at most {limits.INVITES_PER_GROUP_MAX} people to a group.",
                retry_after_s=max(1, round((self._group.deadline - self._group.now).total_seconds())),
            )
        # Everybody counts in the same order, so that two who wait for each other cannot be.
        for limit, name in (
            (limits.INVITES_PER_INVITER, f"inviter:{self._inviter_id}"),
            (limits.INVITES_PER_INVITER_AND_DAY, f"inviter:{self._inviter_id}"),
            (limits.INVITES_PER_CLIENT, f"client:{client_key}"),
            (limits.INVITES_TO_GROUP, f"group:{self._group_id}"),
        ):
            digest = recipient_digests(self._keyring, "email", name)[0]
            await windows.count(self._connection, limit, digest, times=count)

    async def write(self, fresh: list[_Fresh], *, share_base: str) -> None:
        """Writes to people whom nobody invited before, and still notes the invitation of each."""
        for one in fresh:
            code = secrets.token_urlsafe(CODE_BYTES)
            delay_ms = self._post.wait_ms(one.contact, self._language, self._group.now)
            waits = self._group.is_held or delay_ms > 0
            url = link_of(share_base, self._group.share_code, code)
            letter = letter_of(self._group, one.contact, self._language, url=url, held=waits)
            notification_id = None if one.is_known else await self._write_where_room(letter, one.digest)
            await store.insert_invite(
                self._connection,
                code=code,
                group_id=self._group_id,
                inviter_id=self._inviter_id,
                channel=one.contact.channel,
                recipient_digest=one.digest,
                sealed=seal_contact(self._keyring, one.contact),
                delay_ms=delay_ms,
                kept_ms=limits.RECIPIENT_KEPT_MS,
                notification_id=notification_id,
                awaits_order_id=self._group.seat_id if waits else None,
            )

    async def _write_where_room(self, letter: Letter, digest: bytes) -> str | None:
        """Writes to somebody who was not invited too often, and counts only what is written."""
        limit = limits.INVITES_PER_RECIPIENT
        try:
            await windows.refuse_above(self._connection, limit, digest)
        except RateLimited:
            return None
        notification_id = await self._post.write(self._connection, letter)
        if notification_id is not None:
            await windows.count(self._connection, limit, digest)
        return notification_id


def _contacts_of(body: NewInvites, channels: frozenset[Channel], *, fictional: bool) -> list[Contact]:
    contacts, errors = [], []
    for place, recipient in enumerate(body.recipients):
        try:
            contact = _contact_of(recipient, fictional=fictional)
        except InvalidInput as error:
            errors += [FieldError(f"recipients[{place}].{one.field}", one.message) for one in error.errors]
            continue
        if contact.channel not in channels:
            message = "messages of this kind are not delivered by this server"
            errors.append(FieldError(f"recipients[{place}].{contact.kind}", message))
        contacts.append(contact)
    if errors:
        raise InvalidInput(errors)
    return contacts


def _contact_of(recipient: Recipient, *, fictional: bool) -> Contact:
    if recipient.user is None:
        return contact_of(recipient.email, recipient.phone, fictional=fictional)
    if recipient.email is not None or recipient.phone is not None:
        raise InvalidInput.of("user", "give one of email, phone and user, not several")
    return Contact("user", recipient.user)


def _outcome_of(contact: Contact, *, is_skipped: bool) -> InviteOutcome:
    return InviteOutcome(
        email=contact.address if contact.kind == "email" else None,
        phone=contact.address if contact.kind == "phone" else None,
        user=contact.address if contact.kind == "user" else None,
        status="skipped" if is_skipped else "queued",
    )


def _shown(keyring: Keyring, sent: SentInvite, share_url: str) -> Invite:
    contact = None if sent.sealed is None else open_contact(keyring, sent.sealed)
    return Invite(
        invite_code=sent.code,
        share_url=share_url,
        channel=sent.channel,
        recipient=None if contact is None else mask(contact),
        state=_state_of(sent),
        created_at=sent.created_at,
    )


def _state_of(sent: SentInvite) -> InviteState:
    """Says how far it came; one that was withheld is shown as the others are."""
    if sent.authorised:
        return "authorised"
    if sent.joined:
        return "joined"
    if sent.opened:
        return "opened"
    if sent.notification_state == "failed":
        return "failed"
    on_its_way = not sent.is_due if sent.withheld else sent.notification_state in ("due", "in_flight")
    return "queued" if on_its_way else "sent"
