"""The languages of readers: how one is chosen, its messages, and how it writes amounts.

Messages are written in English where they are used: `translations.gettext("…")` or, where a number decides,
`translations.ngettext("…", "…", number)`, with named placeholders: `%(price)s`. Their translations are in
`<language>/LC_MESSAGES/messages.po`; `make messages` brings those files up to date with the sources.
"""

from pintuan.base.locales.catalogs import Translations, translations_for
from pintuan.base.locales.formats import clock_time, money, percent, span
from pintuan.base.locales.negotiation import DEFAULT_LANGUAGE, LANGUAGES, Language, language_of, negotiate

__all__ = [
    "DEFAULT_LANGUAGE",
    "LANGUAGES",
    "Language",
    "Translations",
    "clock_time",
    "language_of",
    "money",
    "negotiate",
    "percent",
    "span",
    "translations_for",
]
