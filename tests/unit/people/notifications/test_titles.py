"""A merchant's title leads nowhere, whatever it says, and reads as somebody else's words."""

from __future__ import annotations

import pytest

from pintuan.base.locales import LANGUAGES
from pintuan.people.contacts.contacts import Contact
from pintuan.people.notifications.titles import TITLE_CHARS_MAX, title_shown
from tests.letters import invitation

LURE = "Account locked, sign in at https://evil.example/login"


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        (LURE, "Account locked, sign in at …"),
        ("Go to evil.example/login?a=b now", "Go to … now"),
        ("WWW.EVIL.EXAMPLE:8080", "…"),
        ("Write to help@evil.example", "Write to …"),
        ("Call +1 900 555-0199 now", "Call … now"),
        ("点击evil。example/x", "…"),
        ("пример.рф", "…"),
        ("xn--e1afmkfd.xn--p1ai", "…"),
        ("\uff45\uff56\uff49\uff4c\uff0e\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45", "…"),
        ("evil\u200b.example and evil\u200c.example", "… and …"),
        ("a\u202ebc\r\nBcc: b", "abc Bcc: b"),
        ("Tea” is sold. “Pay", "Tea' is sold. 'Pay"),
    ],
)
def test_what_leads_somewhere_is_left_out(title: str, shown: str) -> None:
    assert title_shown(title, "en") == f"“{shown}”"


@pytest.mark.parametrize(
    "title",
    [
        "Kettle",
        "Dr. Martens 8-Eye Boot, No.5, 2.5 l",
        "USB3.0 hub 4.0",
        "好茶。限时抢购",
        "Tea @ home, 1.200 g, U.S.A. flag",
        "Family \U0001f468\u200d\U0001f469\u200d\U0001f467",
    ],
)
def test_an_honest_title_stays_as_it_is(title: str) -> None:
    assert title_shown(title, "en") == f"“{title}”"


def test_a_long_title_is_cut_and_still_quoted() -> None:
    shown = title_shown("\ufdfa" * 200, "fr")
    assert (shown[:2], shown[-3:]) == ("«\u00a0", "…\u00a0»")
    assert len(shown) == TITLE_CHARS_MAX + 4


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "contact", [Contact("email", "bea@example.com"), Contact("phone", "+33612345678"), Contact("user", "bea")]
)
def test_no_message_says_where_a_title_leads(contact: Contact, language: str) -> None:
    letter = invitation(contact, language, title=LURE)  # type: ignore[arg-type]
    assert "evil" not in letter.title + letter.text
    # Our own words come first.
    assert not letter.title.startswith(("Account", "“", "«", "‘"))
