"""Addresses, phone numbers and sign-in codes as people type them, read for what was meant.

Input methods write wide forms and the digits of other scripts, address books put marks around a number that
nobody sees, and suggestions of a keyboard end with a blank. Pages and API read all of it here alone, so that
both take the same, before anything is counted against its author.

Sources: RFC 8265 section 3.3.2 (wide forms); Unicode Standard Annex 44 (categories, decimal digits).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Selectors of variants, the joiner of graphemes and fillers of Hangul: unseen, though of other categories.
_UNSEEN: Final = re.compile("[\ufe00-\ufe0f\u034f\u115f\u1160\u3164\uffa0]")
# Beside a Latin letter, a period or an end they shape nothing; within other scripts they do.
_IDLE_JOINER: Final = re.compile("(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])")
_JOINERS: Final = frozenset("\u200c\u200d")
_WIDE: Final = frozenset(("<wide>", "<narrow>", "<small>"))
# A minus sign, and the long mark beside the digits of a Japanese keyboard.
_MORE_DASHES: Final = frozenset("\u2212\u30fc")


def seen(text: str) -> str:
    """Returns a line as its author sees it, without wide forms, blanks around and unseen marks.

    Joiners stay where they shape a letter, as in Persian names of domains (RFC 5892 appendix A.1).
    """
    shown = "".join(
        _narrow(char) for char in _UNSEEN.sub("", text) if char in _JOINERS or not _is_unseen(char)
    )
    return _IDLE_JOINER.sub("", shown).strip()


def number(text: str) -> str:
    """Returns a number as typed in ASCII: digits of any script, hyphens for dashes, spaces for blanks."""
    return "".join(_ascii(char) for char in seen(text) if char not in _JOINERS)


def code(text: str) -> str:
    """Returns a code without the blanks, dashes and other marks that people put between its digits."""
    return "".join(filter(str.isalnum, number(text)))


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) == "Cf"


def _narrow(char: str) -> str:
    kind, _, plain = unicodedata.decomposition(char).partition(" ")
    return chr(int(plain, 16)) if kind in _WIDE else char


def _ascii(char: str) -> str:
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    if char in _MORE_DASHES or unicodedata.category(char) == "Pd":
        return "-"
    return " " if char.isspace() else char
