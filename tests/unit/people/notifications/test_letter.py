"""A letter that cannot be sent is refused where it is written, and not by a mail server hours later."""

from __future__ import annotations

import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pintuan.people.contacts.contacts import Contact
from pintuan.people.notifications.letter import TEXT_CHARS_MAX, TITLE_CHARS_MAX, InvalidLetter, Letter
from pintuan.people.notifications.topics import Topic

ANN = Contact("email", "ann@example.com")
BREAKS = [chr(code) for code in (0, *range(9, 14), 0x1C, 0x1D, 0x1E, 0x1F, 0x7F, 0x85, 0x2028, 0x2029)]


def letter(**changes: Any) -> Letter:
    values: dict[str, Any] = {
        "to": (ANN,),
        "language": "en",
        "topic": Topic.NUDGE,
        "title": "Hello",
        "text": "Hello.",
        "lifetime_ms": 60_000,
        "now": datetime(2030, 1, 1, tzinfo=UTC),
    }
    return Letter(**(values | changes))


@pytest.mark.parametrize("mark", BREAKS, ids=lambda mark: f"U+{ord(mark):04X}")
@pytest.mark.parametrize("title", ["Tea{}Bcc: all@example.com", "{}Tea", "Tea{}"])
def test_a_title_is_one_line(title: str, mark: str) -> None:
    with pytest.raises(InvalidLetter, match="one line"):
        letter(title=title.format(mark))


@pytest.mark.parametrize(
    "changes",
    [
        {"title": ""},
        {"title": "x" * (TITLE_CHARS_MAX + 1)},
        {"title": "half of a character: \ud83d"},
        {"text": ""},
        {"text": "x" * (TEXT_CHARS_MAX + 1)},
        {"lifetime_ms": 0},
        {"to": ()},
        {"to": (ANN, Contact("email", "bea@example.com"))},
        {"now": None},
        {"now": None, "topic": Topic.INVITATION},
        {"now": None, "topic": Topic.OUTCOME},
    ],
    ids=repr,
)
def test_what_is_empty_too_long_or_lacking_is_refused_and_the_reason_names_nobody(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(InvalidLetter) as refused:
        letter(**changes)
    assert "example.com" not in str(refused.value)


def test_the_longest_letter_can_be_sent_and_a_code_minds_no_night() -> None:
    letter(title="x" * TITLE_CHARS_MAX, text="two\nlines " + "x" * (TEXT_CHARS_MAX - 10))
    letter(topic=Topic.SIGN_IN_CODE, now=None)


@given(st.text(max_size=TITLE_CHARS_MAX + 10))
def test_every_title_that_is_taken_is_one_header_of_a_mail(title: str) -> None:
    try:
        taken = letter(title=title).title
    except InvalidLetter:
        return
    mail = EmailMessage(policy=email.policy.default)
    mail["Subject"] = taken
    head, _, _ = mail.as_bytes().partition(b"\n\n")
    fields = [line for line in head.splitlines() if not line.startswith((b" ", b"\t"))]
    assert [field.partition(b":")[0] for field in fields] == [b"Subject"]
