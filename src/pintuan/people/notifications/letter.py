"""A letter: a noun's text for a person, before its channel is chosen.

InvalidLetter(reason)   a noun wrote what cannot be sent; the reason names nobody
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.people.contacts.contacts import Contact
from pintuan.people.notifications.topics import Night, Topic

if TYPE_CHECKING:
    from pintuan.base.locales import Language

# Our own words around a merchant's title of 80 characters stay well below it.
TITLE_CHARS_MAX: Final = 200
# Some ten texts of a phone.
TEXT_CHARS_MAX: Final = 1_600
# Control characters, line and paragraph separators, and halves of characters: headers of mails can have none.
_NOT_ON_A_LINE: Final = frozenset({"Cc", "Zl", "Zp", "Cs"})


class InvalidLetter(ValueError):
    """A noun wrote what cannot be sent."""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A noun's text for a person; `Post` decides whether and how it gets there.

    `to` has every address of the person that the noun knows, at most one of each kind. `title` is one line,
    the subject of a mail and the heading of a push. `text` has neither the link `url` nor the one that stops
    further letters. `lifetime_ms` says for how long it is worth delivering. `sender` is the id of the
    merchant whose sale it is about. `code` repeats a sign-in code that is in the text. `now` is the server's
    time, by which it is night. A letter that is `held` leaves when its noun lets it go, and not by night.

    Raises:
        InvalidLetter: the title has several lines, something is empty, too long or lacking.
    """

    to: tuple[Contact, ...]
    language: Language
    topic: Topic
    title: str
    text: str
    lifetime_ms: int
    url: str | None = None
    sender: str = ""
    code: str | None = None
    now: datetime | None = None
    held: bool = False

    def __post_init__(self) -> None:
        kinds = {contact.kind for contact in self.to}
        if not kinds or len(kinds) < len(self.to):
            raise InvalidLetter("a letter goes to one address of each kind, and to one at least")
        if not is_one_line(self.title) or not 0 < len(self.title) <= TITLE_CHARS_MAX:
            raise InvalidLetter(f"a title is one line of 1 to {TITLE_CHARS_MAX} characters")
        if not 0 < len(self.text) <= TEXT_CHARS_MAX:
            raise InvalidLetter(f"a text has 1 to {TEXT_CHARS_MAX} characters")
        if self.lifetime_ms < 1:
            raise InvalidLetter("a letter is worth delivering for 1 ms at least")
        if self.now is None and self.topic.rules.night is not Night.SENT:
            raise InvalidLetter("a letter that minds the night says when it is written")


def is_one_line(text: str) -> bool:
    """Says whether a text can be a line, and so the value of a header."""
    return not any(unicodedata.category(char) in _NOT_ON_A_LINE for char in text)
