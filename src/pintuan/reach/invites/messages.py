"""The text of an invitation, in the languages of `pintuan.base.locales`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.base.locales import money, translations_for
from pintuan.base.wire.money import Money
from pintuan.people.notifications.letter import Letter
from pintuan.people.notifications.titles import title_shown
from pintuan.people.notifications.topics import Topic

if TYPE_CHECKING:
    from pintuan.base.locales import Language
    from pintuan.people.contacts.contacts import Contact
    from pintuan.reach.invites.store import InvitedGroup


def letter_of(group: InvitedGroup, contact: Contact, language: Language, *, url: str, held: bool) -> Letter:
    """Returns the invitation to a contact, which is good until the group's deadline.

    An invitation that is `held` leaves when the inviter's order pays and the recipient is awake.
    """
    _ = translations_for(language).gettext
    shown = title_shown(group.title, language)
    price = money(Money(group.price_minor, group.currency), language)
    text = _(
        "A friend invites you to buy %(title)s together. The price now is %(price)s, and it falls as more "
        "people join."
    ) % {"title": shown, "price": price}
    return Letter(
        to=(contact,),
        language=language,
        topic=Topic.INVITATION,
        title=_("You are invited: %(title)s") % {"title": shown},
        text=text,
        url=url,
        lifetime_ms=max(1, round((group.deadline - group.now).total_seconds() * 1000)),
        sender=group.merchant_id,
        now=group.now,
        held=held,
    )
