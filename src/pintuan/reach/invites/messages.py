"""What an invitation says, in the languages of `pintuan.base.locales`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.base.locales import translations_for
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.titles import title_shown

if TYPE_CHECKING:
    from pintuan.base.locales import Language
    from pintuan.people.contacts.contacts import Contact


def message_of(
    contact: Contact, language: Language, *, title: str, price: str, url: str, stop_url: str
) -> Message:
    """Returns the invitation to a contact; `price` is written as the language does."""
    _ = translations_for(language).gettext
    shown = title_shown(title, language)
    subject = _("You are invited: %(title)s") % {"title": shown}
    body = _(
        "A friend invites you to buy %(title)s together. The price now is %(price)s, and it falls as more "
        "people join."
    ) % {"title": shown, "price": price}
    stop = _("No more invitations: %(url)s") % {"url": stop_url}
    return Message(
        channel=contact.channel,
        to=contact.address,
        subject=subject,
        text=body if contact.channel == "push" else f"{body}\n{url}\n\n{stop}",
        url=url if contact.channel == "push" else None,
        unsubscribe_url=stop_url,
    )
