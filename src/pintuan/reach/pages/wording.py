"""The names of refusals and payments in the reader's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from babel import Locale

    from pintuan.base.locales import Translations
    from pintuan.buying.groups.schemas import OrderStatus

# A rule of a language's plurals shows within this many numbers, in every language of CLDR.
_PLURAL_SAMPLES: Final = 201


def refusal_text(translations: Translations, code: str, field: str | None = None) -> str:
    """Returns what to tell somebody whose form was refused with a problem code; never the inside's words."""
    _ = translations.gettext
    if code == "invalid" and field in {"email", "phone"}:
        return _("Please enter an e-mail address, or a phone number with + and its country code.")
    texts = {
        "invalid": _("Something in the form is not right. Please check it and try again."),
        "unauthenticated": _("The code is wrong or has expired. Please check it or ask for a new one."),
        "forbidden": _("This form has expired. Please try again, and allow cookies for this site."),
        "not_found": _("This link leads nowhere. Please ask whoever sent it for a new one."),
        "already_joined": _("You are already in this group."),
        "deal_not_active": _("This offer takes no orders at the moment."),
        "group_closed": _("This group has just closed."),
        "group_full": _("Somebody else has just taken the last place."),
        "limit_reached": _("You have as many units of this offer as one person may buy."),
        "sold_out": _("There are not enough units left."),
        "rate_limited": _("That was too often. Please wait a little and try again."),
    }
    return texts.get(code) or _(
        "That did not work just now. Please see how your order stands, and try again if there is none."
    )


def problem_title(translations: Translations, code: str) -> str:
    """Returns the heading of a page that says only what went wrong."""
    _ = translations.gettext
    return _("No such group") if code == "not_found" else _("That did not work")


def order_text(translations: Translations, status: OrderStatus) -> str:
    """Returns how an order stands, in a sentence."""
    _ = translations.gettext
    texts: dict[OrderStatus, str] = {
        "held": _("Your place is reserved while your payment is being confirmed."),
        "authorised": _(
            "You are in. Your payment is confirmed, and nothing is charged before the group ends."
        ),
        "captured": _("Paid. Thank you!"),
        "partially_refunded": _("Paid, and partly given back."),
        "refunded": _("Paid, and given back in full."),
        "declined": _("Your payment was declined, and your place was given up. Nothing was charged."),
        "expired": _("Your payment was not confirmed in time. Nothing was charged."),
        "cancelled": _("You have left this group. Nothing was charged."),
        "released": _("The group did not come about. Nothing was charged."),
        "payment_failed": _("Your payment failed in the end. Nothing was charged."),
    }
    return texts[status]


def method_texts(translations: Translations) -> dict[str, str]:
    """Returns the sandbox's methods that the page offers, and their names."""
    _ = translations.gettext
    return {
        "pm_ok": _("Test card that works"),
        "pm_slow": _("Test card that takes its time"),
        "pm_declined": _("Test card that is declined"),
        "pm_capture_fails": _("Test card that fails when the group ends"),
    }


def forms_of(translations: Translations, locale: Locale, singular: str, plural: str) -> dict[str, str]:
    """Returns a message for each plural category of CLDR (`one`, `few`, …), as a browser names them."""
    forms: dict[str, str] = {}
    for number in range(_PLURAL_SAMPLES):
        forms.setdefault(locale.plural_form(number), translations.ngettext(singular, plural, number))
    # A fraction's category, which no headcount has, and which a browser falls back to.
    forms.setdefault("other", translations.ngettext(singular, plural, _PLURAL_SAMPLES))
    return forms
