"""What a nudge says, in the languages of `pintuan.base.locales`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pintuan.base.locales import money, span, translations_for
from pintuan.base.wire.money import Money
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.titles import title_shown
from pintuan.reach.nudges.timing import near_of

if TYPE_CHECKING:
    from pintuan.base.locales import Language
    from pintuan.people.contacts.contacts import Contact
    from pintuan.reach.nudges.store import DueNudge, Member


class Text(msgspec.Struct, frozen=True):
    """A line to be seen at once, and the sentences below it."""

    subject: str
    body: str


def message_of(
    nudge: DueNudge, member: Member, contact: Contact, language: Language, *, url: str, stop_url: str
) -> Message:
    """Returns what to tell a member; an outcome is told with what they themselves pay."""
    text = text_of(nudge, member, language)
    _ = translations_for(language).gettext
    stop = _("No more messages about your groups: %(url)s") % {"url": stop_url}
    return Message(
        channel=contact.channel,
        to=contact.address,
        subject=text.subject,
        text=text.body if contact.channel == "push" else f"{text.body}\n{url}\n\n{stop}",
        url=url if contact.channel == "push" else None,
        unsubscribe_url=stop_url,
    )


def text_of(nudge: DueNudge, member: Member, language: Language) -> Text:
    """Returns the words of a nudge to a member."""
    match nudge.kind:
        case "tier_near":
            return _near(nudge, language)
        case "hour_left":
            return _hour_left(nudge, language)
        case "succeeded":
            return _succeeded(nudge, member, language)
        case "failed":
            return _failed(nudge, language)


def _near(nudge: DueNudge, language: Language) -> Text:
    _ = translations_for(language).gettext
    left_s = (nudge.deadline - nudge.now).total_seconds()
    values = {"title": title_shown(nudge.title, language), "span": span(left_s, language)}
    near = _near_line(nudge, language)
    body = _("Your group for %(title)s is open for another %(span)s. Pass the link on.") % values
    return Text(near, f"{near} {body}")


def _hour_left(nudge: DueNudge, language: Language) -> Text:
    said = translations_for(language)
    values = {"title": title_shown(nudge.title, language)}
    lines = [said.gettext("Your group for %(title)s closes in one hour.") % values]
    missing = nudge.min_headcount - nudge.headcount
    if near := _near_line(nudge, language):
        lines.append(near)
    elif missing > 0:
        lines.append(
            said.ngettext("%(num)s more is needed.", "%(num)s more are needed.", missing) % {"num": missing}
        )
    lines.append(said.gettext("Pass the link on."))
    return Text(said.gettext("One hour left: %(title)s") % values, " ".join(lines))


def _succeeded(nudge: DueNudge, member: Member, language: Language) -> Text:
    _ = translations_for(language).gettext
    unit_minor = member.final_unit_minor or 0
    values = {
        "title": title_shown(nudge.title, language),
        "price": money(Money(unit_minor, nudge.currency), language),
        "total": money(Money(unit_minor * member.quantity, nudge.currency), language),
    }
    return Text(
        _("It worked: %(title)s for %(price)s") % values,
        _("Your group for %(title)s made it. The final price is %(price)s, and you pay %(total)s in all.")
        % values,
    )


def _failed(nudge: DueNudge, language: Language) -> Text:
    _ = translations_for(language).gettext
    values = {"title": title_shown(nudge.title, language)}
    return Text(
        _("It did not fill: %(title)s") % values,
        _(
            "Too few people joined your group for %(title)s in time. You were not charged. Perhaps another "
            "group is open."
        )
        % values,
    )


def _near_line(nudge: DueNudge, language: Language) -> str:
    """How few are missing until a price, or nothing where they are not so few."""
    near = near_of(nudge)
    if near is None:
        return ""
    line = translations_for(language).ngettext(
        "%(num)s more, and everyone pays %(price)s.",
        "%(num)s more, and everyone pays %(price)s.",
        near.missing,
    )
    return line % {"num": near.missing, "price": money(Money(near.price_minor, nudge.currency), language)}
