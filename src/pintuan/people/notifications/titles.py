"""A merchant's title inside of a message of ours.

The message comes from us, to a person who may not know the merchant. Mail programs and telephones make links
of any text that looks like one. A title is therefore quoted, and holds nothing that leads anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pintuan.base.locales import Language

TITLE_CHARS_MAX: Final = 80
# Some characters stand for a whole phrase, and the search for links takes more than linear time.
_READ_CHARS_MAX: Final = 400
_LEFT_OUT: Final = "…"
_QUOTES: Final[dict[Language, tuple[str, str]]] = {
    "en": ("“", "”"),
    "zh": ("“", "”"),
    "ko": ("‘", "’"),
    "vi": ("“", "”"),
    "uk": ("«", "»"),
    "fr": ("«\u00a0", "\u00a0»"),
    "es": ("«", "»"),
}
# Signs that would seem to end the quotation.
_QUOTE_MARKS: Final = re.compile('["“”„‟«»‹›「」『』＂]')
# Joiners shape letters and emoji; other characters of this kind are not seen, or turn the text around.
_JOINERS: Final = frozenset("\u200c\u200d")
_IDLE_JOINER: Final = re.compile("(?<=[!-~])[\u200c\u200d]|[\u200c\u200d](?=[!-~])")
_SCHEME: Final = r"[a-z][a-z0-9+.-]*://\S*"
_MAILBOX: Final = r"[^\s@]+@[^\s@]+\.[^\s@]+"
# A name with a period in it whose last part could be a top-level domain, with port and path.
_HOST: Final = r"(?:[^\W_](?:[\w-]*[^\W_])?[.。])+(?:xn--[a-z0-9-]+|[^\W\d_]{2,})(?::\d+)?(?:[/?#]\S*)?"
_NUMBER: Final = r"\+\d[\d\s().-]{5,}\d"
_LEADS_SOMEWHERE: Final = re.compile(f"{_SCHEME}|{_MAILBOX}|{_HOST}|{_NUMBER}", re.IGNORECASE)
# In Chinese and Japanese this stop ends sentences; between two Latin letters it may be part of a host's name.
_STOP: Final = re.compile(r"。(?![a-z0-9])|(?<![a-z0-9])。", re.IGNORECASE)


def title_shown(title: str, language: Language) -> str:
    """Returns a title as messages show it: quoted, on one line, without links, addresses and numbers to call.

    Each of those becomes an ellipsis, as does what is beyond `TITLE_CHARS_MAX` characters.
    """
    before, behind = _QUOTES[language]
    return f"{before}{_inert(title)}{behind}"


def _inert(title: str) -> str:
    # Full-width letters and the like are read as links too, so they are treated as the letters they resemble.
    text = "".join(filter(_is_seen, unicodedata.normalize("NFKC", title)[:_READ_CHARS_MAX]))
    text = _IDLE_JOINER.sub("", text)
    text = _QUOTE_MARKS.sub("'", " ".join(text.split()))
    text = _LEADS_SOMEWHERE.sub(_LEFT_OUT, _STOP.sub("\ue000", text)).replace("\ue000", "。")
    return text if len(text) <= TITLE_CHARS_MAX else text[: TITLE_CHARS_MAX - 1] + _LEFT_OUT


def _is_seen(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co") or char.isspace()
