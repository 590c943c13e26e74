"""Inviting people to a group.

What the inviter is told depends on what the inviter did, and on nothing else: whether a recipient has an
account, was invited by somebody else, has had too many or wants none looks the same from outside.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from groups.errors import GroupClosed, RateLimited
from pintuan.base import limits as windows
from pintuan.base.errors import FieldError, Forbidden, InvalidInput, NotFound
from pintuan.base.limits_store import lock_window
from pintuan.base.locales import money
from pintuan.base.wire.money import Money
from pintuan.people.consents.service import NOTIFICATION_KIND, stop_url_of, unsubscribed
from pintuan.people.contacts.contacts import Contact, contact_of
from pintuan.people.contacts.digests import recipient_digests
from pintuan.people.contacts.sealed import mask, open_contact, seal_contact
from pintuan.people.identity.erased import require_not_erased
from pintuan.people.notifications.channels import channels_of
from pintuan.people.notifications.quiet_hours import quiet_hours_of, zones_of
from pintuan.people.notifications.service import enqueue
from pintuan.reach.invites import limits, store
from pintuan.reach.invites.messages import message_of
from pintuan.reach.invites.schemas import Invite, InviteCounts, InviteOutcome, Invites, InviteState
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from datetime import datetime

    from pintuan.base.locales import Language
    from pintuan.base.process import Resources
    from pintuan.reach.invites.schemas import NewInvites, Recipient
    from pintuan.reach.invites.store import InvitedGroup, SentInvite
from sql import Connection

CODE_BYTES: Final = 12


async def invite(
    resources: Resources, group_id: str, inviter_id: str, body: NewInvites, *, client_key: str
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
    await require_not_erased(resources.pool, inviter_id)
    contacts = _contacts_of(resources, body)

    async def transaction() -> list[InviteOutcome]:
        async with resources.pool.acquire() as connection, connection.transaction():
            group = await store.select_group(connection, group_id, inviter_id)
            if group is None:
                raise NotFound("group")
            if group.seat_id is None:
                raise Forbidden("Only members of the group may invite to it.")
            if not group.joinable:
                raise GroupClosed
            inviting = _Inviting(
                resources, connection, group_id, inviter_id, group, body.locale, client_key=client_key
            )
            return await inviting.invite(contacts)

    outcomes = await retry_serialization(transaction)
    resources.doorbells.ring("notifications")
    return outcomes


async def list_invites(resources: Resources, group_id: str, inviter_id: str) -> Invites:
    """Returns the inviter's own invitations; raises NotFound, and Forbidden for who never had a seat."""
    group = await store.select_group(resources.pool, group_id, inviter_id)
    if group is None:
        raise NotFound("group")
    if not group.was_member:
        raise Forbidden("Only members of the group may see their invitations to it.")
    sent = await store.list_invites(resources.pool, group_id, inviter_id, limit=limits.INVITES_PER_GROUP_MAX)
    return Invites(
        items=[_shown(resources, group.share_code, one) for one in sent],
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


class _Inviting:
    """One request of an inviter, in its transaction."""

    def __init__(
        self,
        resources: Resources,
        connection: Connection,
        group_id: str,
        inviter_id: str,
        group: InvitedGroup,
        language: Language,
        *,
        client_key: str,
    ) -> None:
        self._client_key = client_key
        self._resources = resources
        self._keyring = resources.keyring
        self._connection = connection
        self._group_id = group_id
        self._inviter_id = inviter_id
        self._group = group
        self._language = language

    async def invite(self, contacts: list[Contact]) -> list[InviteOutcome]:
        await store.lock_inviter(self._connection, self._group_id, self._inviter_id)
        digests = {contact: contact.person_digests(self._keyring) for contact in contacts}
        # Everybody takes them in the same order. Two inviters of one recipient go on one after the other.
        for digest in sorted({current for current, *_ in digests.values()}):
            await lock_window(self._connection, limits.INVITES_PER_RECIPIENT.scope, digest)
        candidates = [digest for some in digests.values() for digest in some]
        known = await store.known_recipients(self._connection, self._group_id, self._inviter_id, candidates)
        unwilling = await unsubscribed(self._connection, candidates, NOTIFICATION_KIND)
        mine = {
            contact.mailbox for contact, some in digests.items() if any(known.get(digest) for digest in some)
        }
        first = {contact.mailbox: contact for contact in reversed(contacts)}
        fresh = [contact for mailbox, contact in reversed(first.items()) if mailbox not in mine]
        await self._count(len(fresh))
        for contact in fresh:
            wanted = not any(digest in known or digest in unwilling for digest in digests[contact])
            await self._add(contact, digests[contact][0], wanted=wanted)
        mailboxes = [contact.mailbox for contact in contacts]
        return [
            _outcome_of(contact, is_skipped=contact.mailbox in mine or contact.mailbox in mailboxes[:place])
            for place, contact in enumerate(contacts)
        ]

    async def _count(self, count: int) -> None:
        """Raises RateLimited where these would be more than the inviter may invite."""
        if count == 0 or not self._resources.settings.rate_limits:
            return
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
            (limits.INVITES_PER_CLIENT, f"client:{self._client_key}"),
            (limits.INVITES_TO_GROUP, f"group:{self._group_id}"),
        ):
            digest = recipient_digests(self._keyring, "email", name)[0]
            await windows.count(self._connection, limit, digest, times=count)

    async def _add(self, contact: Contact, digest: bytes, *, wanted: bool) -> None:
        code = secrets.token_urlsafe(CODE_BYTES)
        delay_ms = _delay_ms(self._resources, self._group.now, contact, self._language)
        waits = self._group.is_held or delay_ms > 0
        notification_id = None
        if wanted and await self._has_room(digest):
            notification_id = await self._send(contact, code, waits=waits)
        await store.insert_invite(
            self._connection,
            code=code,
            group_id=self._group_id,
            inviter_id=self._inviter_id,
            channel=contact.channel,
            recipient_digest=digest,
            sealed=seal_contact(self._keyring, contact),
            delay_ms=delay_ms,
            kept_ms=limits.RECIPIENT_KEPT_MS,
            notification_id=notification_id,
            awaits_order_id=self._group.seat_id if waits else None,
        )

    async def _has_room(self, digest: bytes) -> bool:
        try:
            await windows.count(self._connection, limits.INVITES_PER_RECIPIENT, digest)
        except RateLimited:
            return False
        return True

    async def _send(self, contact: Contact, code: str, *, waits: bool) -> str:
        group, settings = self._group, self._resources.settings
        message = message_of(
            contact,
            self._language,
            title=group.title,
            price=money(Money(group.price_minor, group.currency), self._language),
            url=link_of(settings.share_base, group.share_code, code),
            stop_url=stop_url_of(self._keyring, settings.share_base, contact),
        )
        lifetime_ms = max(1, round((group.deadline - group.now).total_seconds() * 1000))
        return await enqueue(
            self._connection,
            self._keyring,
            message,
            kind=NOTIFICATION_KIND,
            lifetime_ms=lifetime_ms,
            # One that nobody lets go has outlived its use when it is taken.
            delay_ms=lifetime_ms if waits else 0,
            sender=group.merchant_id,
        )


def _contacts_of(resources: Resources, body: NewInvites) -> list[Contact]:
    channels = channels_of(resources.settings)
    contacts, errors = [], []
    for place, recipient in enumerate(body.recipients):
        try:
            contact = _contact_of(recipient, fictional=resources.settings.env == "dev")
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


def _delay_ms(resources: Resources, now: datetime, contact: Contact, language: Language) -> int:
    quiet = quiet_hours_of(resources.settings)
    if quiet is None:
        return 0
    return round(quiet.wait(now, zones_of(contact, language)).total_seconds() * 1000)


def _outcome_of(contact: Contact, *, is_skipped: bool) -> InviteOutcome:
    return InviteOutcome(
        email=contact.address if contact.kind == "email" else None,
        phone=contact.address if contact.kind == "phone" else None,
        user=contact.address if contact.kind == "user" else None,
        status="skipped" if is_skipped else "queued",
    )


def _shown(resources: Resources, share_code: str, sent: SentInvite) -> Invite:
    contact = None if sent.sealed is None else open_contact(resources.keyring, sent.sealed)
    return Invite(
        invite_code=sent.code,
        share_url=link_of(resources.settings.share_base, share_code, sent.code),
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
