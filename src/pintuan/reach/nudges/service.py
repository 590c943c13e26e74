"""Tells the members of groups what is due.

Messages are written in the transaction that notes up to whom the members were told, so each is told once
whatever dies in between. A large group takes several rounds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from groups.setbacks import Setbacks
from pintuan.base.locales import DEFAULT_LANGUAGE, language_of
from pintuan.people.consents.service import stop_url_of, unsubscribed
from pintuan.people.contacts.contacts import Contact
from pintuan.people.notifications.channels import channels_of
from pintuan.people.notifications.quiet_hours import quiet_hours_of, zones_of
from pintuan.people.notifications.service import enqueue
from pintuan.reach.nudges import store
from pintuan.reach.nudges.messages import message_of
from pintuan.reach.nudges.timing import LATE_MAX, OUTCOME_LATE_MAX, near_of, verdict_of
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from groups.setbacks import Work
    from pintuan.base.keyring import Keyring
    from pintuan.base.locales import Language
    from pintuan.base.settings.settings import Settings
    from pintuan.people.notifications.message import Message
    from pintuan.reach.nudges.store import DueNudge, Member, Place
from sql import Connection

MEMBERS_PER_ROUND: Final = 100
"""Of each nudge."""
NOTIFICATION_KIND: Final = "nudge"


class Nudger:
    """Tells a process' share of the nudges; any number of processes may have one."""

    def __init__(self, pool: asyncpg.Pool, keyring: Keyring, settings: Settings) -> None:
        self._pool = pool
        self._keyring = keyring
        self._settings = settings
        self._channels = channels_of(settings)
        self._quiet = quiet_hours_of(settings)
        self._setbacks = Setbacks(pool, "nudges")

    async def tell_due(self, limit: int) -> int:
        """Looks at up to `limit` nudges that are due; returns how many there were."""
        names = await store.due(self._pool, limit=limit)
        return await self._setbacks.each(names, self.look)

    def second_tries(self) -> dict[str, Work]:
        """Returns how nudges are tried again that could not be told."""
        return {"nudges": self.look}

    async def look(self, names: Sequence[str]) -> int:
        """Looks at those nudges that are due; returns how many."""
        return await retry_serialization(lambda: self._look(names))

    async def _look(self, names: Sequence[str]) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            due = await store.take_due(connection, names)
            if not due:
                return 0
            verdicts = {nudge.place: verdict_of(nudge) for nudge in due}
            told = [nudge for nudge in due if verdicts[nudge.place] == "tell"]
            finished = [place for place, verdict in verdicts.items() if verdict == "drop"]
            delays_ms = {
                place: round(verdict.total_seconds() * 1000)
                for place, verdict in verdicts.items()
                if isinstance(verdict, timedelta)
            }
            if told:
                finished += await self._tell(connection, told)
            if delays_ms:
                await store.postpone(connection, delays_ms)
            if finished:
                await store.end(connection, finished)
        return len(due)

    async def _tell(self, connection: Connection, nudges: Sequence[DueNudge]) -> list[Place]:
        """Tells the next members of each; returns what there is nobody left to tell of."""
        found = await store.members_of(
            connection, nudges, limit=MEMBERS_PER_ROUND, with_unreachable="push" in self._channels
        )
        reached = {
            member: contacts
            for members in found.values()
            for member in members
            if (contacts := self._contacts_of(member))
        }
        digests = {
            member: [digest for contact in contacts for digest in contact.person_digests(self._keyring)]
            for member, contacts in reached.items()
        }
        unwilling = await unsubscribed(
            connection, [digest for some in digests.values() for digest in some], NOTIFICATION_KIND
        )
        finished: list[Place] = []
        last_told: dict[Place, str] = {}
        for nudge in nudges:
            members = found[nudge.place]
            for member in members:
                if member in reached and not unwilling.intersection(digests[member]):
                    await self._write(connection, nudge, member, reached[member])
            if len(members) == MEMBERS_PER_ROUND:
                last_told[nudge.place] = members[-1].buyer_id
                continue
            finished.append(nudge.place)
            if nudge.kind == "hour_left" and near_of(nudge) is not None:
                # That a price is near was told as well.
                finished.append((nudge.group_id, "tier_near"))
        if last_told:
            await store.go_on_after(connection, last_told)
        return finished

    async def _write(
        self, connection: Connection, nudge: DueNudge, member: Member, contacts: list[Contact]
    ) -> None:
        language = language_of(member.language or "") or DEFAULT_LANGUAGE
        wait = (
            timedelta()
            if self._quiet is None
            else self._quiet.wait(nudge.now, zones_of(contacts[-1], language))
        )
        has_ended = nudge.kind in ("succeeded", "failed")
        if wait and not has_ended:
            # By the morning it would not be true any more.
            return
        lifetime = OUTCOME_LATE_MAX if has_ended else min(LATE_MAX, nudge.deadline - nudge.now)
        await enqueue(
            connection,
            self._keyring,
            self._message_of(nudge, member, contacts, language),
            kind=NOTIFICATION_KIND,
            lifetime_ms=_ms(lifetime + wait),
            delay_ms=round(wait.total_seconds() * 1000),
            sender=nudge.merchant_id,
        )

    def _message_of(
        self, nudge: DueNudge, member: Member, contacts: list[Contact], language: Language
    ) -> Message:
        share_base = self._settings.share_base
        first, *others = (
            message_of(
                nudge,
                member,
                contact,
                language,
                url=f"{share_base}{nudge.share_code}?lang={language}",
                stop_url=stop_url_of(self._keyring, share_base, contact, NOTIFICATION_KIND),
            )
            for contact in contacts
        )
        return msgspec.structs.replace(first, instead=others[0]) if others else first

    def _contacts_of(self, member: Member) -> list[Contact]:
        """How to reach a member: by the app; where that does not reach them by e-mail, or else by text."""
        contacts = [Contact("user", member.buyer_id)] if "push" in self._channels else []
        if member.email is not None and "email" in self._channels:
            contacts.append(Contact("email", member.email))
        elif member.phone is not None and "sms" in self._channels:
            contacts.append(Contact("phone", member.phone))
        return contacts


def _ms(duration: timedelta) -> int:
    return max(1, round(duration.total_seconds() * 1000))
