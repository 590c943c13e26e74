"""The two pages of unsubscribing. They are small enough to be in several languages at once."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING, Final

from pintuan.base.locales import LANGUAGES, translations_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from pintuan.base.locales import Translations
    from pintuan.people.consents.stoppable import Stoppable

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
PAGE_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pintuan</title>
<link rel="stylesheet" href="/docs/assets/page.css">
</head>
<body><main>
{content}
</main></body>
</html>
"""
_BUTTON: Final = (
    '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
    '<button type="submit">OK</button></form>'
)


def _page(text: Callable[[Translations], str], form: str = "") -> str:
    lines = [f'<p lang="{language}">{escape(text(translations_for(language)))}</p>' for language in LANGUAGES]
    return _PAGE.format(content="\n".join([*lines, form]))


@cache
def asking(topic: Stoppable) -> str:
    """Returns the page that asks whether to stop messages of a kind."""
    if topic == "nudge":
        return _page(lambda said: said.gettext("Do you want no more messages about your groups?"), _BUTTON)
    return _page(lambda said: said.gettext("Do you want to get no more invitations?"), _BUTTON)


@cache
def done(topic: Stoppable) -> str:
    """Returns the page that says that messages of the kind have stopped."""
    if topic == "nudge":
        return _page(lambda said: said.gettext("You will get no more messages about your groups."))
    return _page(lambda said: said.gettext("You will get no more invitations."))
