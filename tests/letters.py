"""Letters as nouns write them, without a group to write about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pintuan.base.locales import Language
from pintuan.people.contacts.contacts import Contact
from pintuan.people.notifications.letter import Letter
from pintuan.reach.invites.messages import letter_of
from pintuan.reach.invites.store import InvitedGroup

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def invitation(contact: Contact, language: Language, *, title: str = "Tea") -> Letter:
    """An invitation to a group that is open for a day, by a member who has paid."""
    group = InvitedGroup(
        joinable=True,
        share_code="abc",
        deadline=NOW + timedelta(days=1),
        currency="USD",
        title=title,
        merchant_id="mer_1",
        now=NOW,
        price_minor=800,
        was_member=True,
        seat_id="ord_1",
        is_held=False,
    )
    return letter_of(group, contact, language, url="https://shop.example/g/abc?invite=x", held=False)
