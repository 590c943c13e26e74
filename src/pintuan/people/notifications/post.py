"""The one sender of everything that is said to a person.

A noun writes a `Letter`, and its topic says the rest. In this order it asks which channels reach the person,
whether they want letters of the kind, and whether they sleep. Then it makes the stop link and the message,
which is hashed, sealed and queued in the transaction of its cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.people.consents.service import stop_url_of, unsubscribed
from pintuan.people.notifications.channels import channels_of
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.quiet_hours import quiet_hours_of, zones_of
from pintuan.people.notifications.service import enqueue
from pintuan.people.notifications.topics import Night, stop_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pintuan.base.keyring import Keyring
    from pintuan.base.locales import Language
    from pintuan.base.settings.settings import Settings
    from pintuan.people.consents.stoppable import Stoppable
    from pintuan.people.contacts.channels import Channel
    from pintuan.people.contacts.contacts import Contact
    from pintuan.people.notifications.letter import Letter
    from pintuan.people.notifications.quiet_hours import QuietHours
    from sql import Connection

# An app shows a message at once; a mail costs nothing and has room; a text is for people who have nothing
# else.
_PREFERRED: Final[tuple[Channel, ...]] = ("push", "email", "sms")


class Post:
    """Writes letters; it keeps nothing, so any number of them may be made.

    `channels` are those that are set up. `quiet_hours` are None where nobody is let sleep. Links that stop
    letters begin as `share_base` does.
    """

    def __init__(
        self,
        keyring: Keyring,
        channels: frozenset[Channel],
        quiet_hours: QuietHours | None,
        *,
        share_base: str,
    ) -> None:
        self.channels = channels
        self._keyring = keyring
        self._quiet_hours = quiet_hours
        self._share_base = share_base

    async def write(self, connection: Connection, letter: Letter) -> str | None:
        """Writes a letter in the caller's transaction; ring `notifications` after the commit.

        Returns the message's id, or None where nothing was written. Then no channel reaches the person, they
        want none of the kind, or they sleep and it would be out of date.
        """
        (message_id,) = await self.write_all(connection, [letter])
        return message_id

    async def write_all(self, connection: Connection, letters: Sequence[Letter]) -> list[str | None]:
        """Writes letters as `write` does, in their order, and asks only once who wants none."""
        routes = [self._route(letter.to) for letter in letters]
        unwilling = await self._unwilling(connection, letters, routes)
        return [
            await self._queue(connection, letter, route) if route and place not in unwilling else None
            for place, (letter, route) in enumerate(zip(letters, routes, strict=True))
        ]

    def wait_ms(self, contact: Contact, language: Language, now: datetime) -> int:
        """Returns for how long somebody sleeps, as far as their address and language tell; 0 if not now."""
        if self._quiet_hours is None:
            return 0
        wait = self._quiet_hours.wait(now, zones_of(contact, language))
        return round(wait.total_seconds() * 1000)

    def _route(self, contacts: Sequence[Contact]) -> list[Contact]:
        """Returns where a letter goes: the preferred address, and behind one of an app the next of others."""
        usable = [contact for contact in contacts if contact.channel in self.channels]
        usable.sort(key=lambda contact: _PREFERRED.index(contact.channel))
        return usable[:2] if usable and usable[0].channel == "push" else usable[:1]

    async def _unwilling(
        self, connection: Connection, letters: Sequence[Letter], routes: Sequence[Sequence[Contact]]
    ) -> set[int]:
        """Returns the places of letters whose recipients want none of their kind at any of the addresses."""
        places: dict[Stoppable, dict[bytes, set[int]]] = {}
        for place, (letter, route) in enumerate(zip(letters, routes, strict=True)):
            stop = letter.topic.rules.stop
            if stop is None:
                continue
            for contact in route:
                for digest in contact.person_digests(self._keyring):
                    places.setdefault(stop, {}).setdefault(digest, set()).add(place)
        return {
            place
            for stop, by_digest in places.items()
            for digest in await unsubscribed(connection, list(by_digest), stop)
            for place in by_digest[digest]
        }

    async def _queue(self, connection: Connection, letter: Letter, route: Sequence[Contact]) -> str | None:
        rules = letter.topic.rules
        lifetime_ms, delay_ms = letter.lifetime_ms, 0
        if letter.held:
            # A message that is never released has expired when it is taken.
            delay_ms = lifetime_ms
        elif letter.now is not None and rules.night is not Night.SENT:
            # The last address says the most: a number tells the time zone, an app's does not.
            delay_ms = self.wait_ms(route[-1], letter.language, letter.now)
            if delay_ms and rules.night is Night.DROPPED:
                return None
            if rules.night is Night.POSTPONED:
                lifetime_ms += delay_ms
        return await enqueue(
            connection,
            self._keyring,
            self._message_of(letter, route),
            kind=rules.kind,
            lifetime_ms=lifetime_ms,
            delay_ms=delay_ms,
            awaited=rules.awaited,
            sender=letter.sender,
        )

    def _message_of(self, letter: Letter, route: Sequence[Contact]) -> Message:
        first, *others = (self._message_to(contact, letter) for contact in route)
        return msgspec.structs.replace(first, instead=others[0]) if others else first

    def _message_to(self, contact: Contact, letter: Letter) -> Message:
        """Returns what goes to an address: a push has its links beside the text, other messages within it."""
        stop, is_push = letter.topic.rules.stop, contact.channel == "push"
        stop_url = None if stop is None else stop_url_of(self._keyring, self._share_base, contact, stop)
        text = letter.text
        if not is_push and letter.url is not None:
            text += f"\n{letter.url}"
        if not is_push and stop is not None and stop_url is not None:
            text += f"\n\n{stop_line(stop, stop_url, letter.language)}"
        return Message(
            channel=contact.channel,
            to=contact.address,
            subject=letter.title,
            text=text,
            code=letter.code,
            url=letter.url if is_push else None,
            language=letter.language,
            unsubscribe_url=stop_url,
        )


def post_of(settings: Settings, keyring: Keyring) -> Post:
    """Returns the sender of a deployment."""
    return Post(keyring, channels_of(settings), quiet_hours_of(settings), share_base=settings.share_base)
