"""The text of a nudge, in the languages of `pintuan.base.locales`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pintuan.base.locales import DEFAULT_LANGUAGE, language_of, money, span, translations_for
from pintuan.base.wire.money import Money
from pintuan.people.contacts.contacts import Contact
from pintuan.people.notifications.letter import Letter
from pintuan.people.notifications.titles import title_shown
from pintuan.people.notifications.topics import Topic
from pintuan.reach.nudges.timing import LATE_MAX, OUTCOME_LATE_MAX, near_of

if TYPE_CHECKING:
    from pintuan.base.locales import Language
    from pintuan.reach.nudges.store import DueNudge, Member


class Text(msgspec.Struct, frozen=True):
    """A line to be seen at once, and the sentences below it."""

    subject: str
    body: str


def letter_of(nudge: DueNudge, member: Member, *, share_base: str) -> Letter:
    """Returns the message for a member; an outcome is told with their own price.

    News of an open group is told in its moment, and a group's end for some days.
    """
    language = language_of(member.language or "") or DEFAULT_LANGUAGE
    text, has_ended = text_of(nudge, member, language), nudge.kind in ("succeeded", "failed")
    lifetime = OUTCOME_LATE_MAX if has_ended else min(LATE_MAX, nudge.deadline - nudge.now)
    return Letter(
        to=_contacts_of(member),
        language=language,
        topic=Topic.OUTCOME if has_ended else Topic.NUDGE,
        title=text.subject,
        text=text.body,
        url=f"{share_base}{nudge.share_code}?lang={language}",
        lifetime_ms=max(1, round(lifetime.total_seconds() * 1000)),
        sender=nudge.merchant_id,
        now=nudge.now,
    )


def _contacts_of(member: Member) -> tuple[Contact, ...]:
    contacts = [Contact("user", member.buyer_id)]
    if member.email is not None:
        contacts.append(Contact("email", member.email))
    if member.phone is not None:
        contacts.append(Contact("phone", member.phone))
    return tuple(contacts)


def text_of(nudge: DueNudge, member: Member, language: Language) -> Text:
    """Returns the words of a nudge to a member."""
    match nudge.kind:
        case "tier_near":
            return _near(nudge, member, language)
        case "hour_left":
            return _hour_left(nudge, member, language)
        case "succeeded":
            return _succeeded(nudge, member, language)
        case "failed":
            return _failed(member, language)


def _near(nudge: DueNudge, member: Member, language: Language) -> Text:
    _ = translations_for(language).gettext
    left_s = (nudge.deadline - nudge.now).total_seconds()
    values = {"title": title_shown(member.title, language), "span": span(left_s, language)}
    near = _near_line(nudge, language)
    body = _("Your group for %(title)s is open for another %(span)s. Pass the link on.") % values
    return Text(near, f"{near} {body}")


def _hour_left(nudge: DueNudge, member: Member, language: Language) -> Text:
    said = translations_for(language)
    values = {"title": title_shown(member.title, language)}
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
        "title": title_shown(member.title, language),
        "price": money(Money(unit_minor, nudge.currency), language),
        "total": money(Money(unit_minor * member.quantity, nudge.currency), language),
    }
    return Text(
        _("It worked: %(title)s for %(price)s") % values,
        _("Your group for %(title)s made it. The final price is %(price)s, and you pay %(total)s in all.")
        % values,
    )


def _failed(member: Member, language: Language) -> Text:
    _ = translations_for(language).gettext
    values = {"title": title_shown(member.title, language)}
    return Text(
        _("It did not fill: %(title)s") % values,
        _(
            "Too few people joined your group for %(title)s in time. You were not charged. Perhaps another "
            "group is open."
        )
        % values,
    )


def _near_line(nudge: DueNudge, language: Language) -> str:
    """Says how many more people are needed for the next price; empty if the price is not near."""
    near = near_of(nudge)
    if near is None:
        return ""
    line = translations_for(language).ngettext(
        "%(num)s more, and everyone pays %(price)s.",
        "%(num)s more, and everyone pays %(price)s.",
        near.missing,
    )
    return line % {"num": near.missing, "price": money(Money(near.price_minor, nudge.currency), language)}
