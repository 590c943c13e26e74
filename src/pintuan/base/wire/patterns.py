r"""The patterns that request fields have to match, and the explanation of each for a person.

JSON Schema takes a pattern as it is; an error message that shows one helps nobody who typed a title. The
look-aheads span the whole text, because `$` would also match before a last line break.
"""

from __future__ import annotations

import re
from typing import Final

LINE_PATTERN: Final = r"^(?![\s\S]*[\x00-\x1f\x7f])[\s\S]*\S"
LINE_OR_NOTHING_PATTERN: Final = r"^(?![\s\S]*[\x00-\x1f\x7f])"
# Postgres' text holds every character but this one.
TEXT_PATTERN: Final = r"^(?![\s\S]*\x00)"
IMAGE_URL_PATTERN: Final = r"^(?![\s\S]*[\s\x00-\x20\x7f])https?://[^/?#]"
"""The pattern of an image's address; the server never fetches it."""
INVITE_CODE_PATTERN: Final = r"^(?![\s\S]*[^A-Za-z0-9_-])"
CURRENCY_PATTERN: Final = "^[A-Z]{3}$"

_MEANINGS: Final = {
    LINE_PATTERN: "must be one line with something to read on it, without control characters",
    LINE_OR_NOTHING_PATTERN: "must be one line, without control characters",
    TEXT_PATTERN: "must not hold a NUL character",
    IMAGE_URL_PATTERN: "must be a URL that begins with http:// or https://, without spaces",
    INVITE_CODE_PATTERN: "may only hold the letters A to Z, digits, - and _",
    CURRENCY_PATTERN: "must be an ISO 4217 code of three capital letters, such as USD",
}
# msgspec's words, with the pattern as Python's `repr` writes it.
_MISMATCH: Final = re.compile(r"^Expected `str` matching regex (?P<pattern>.*)$", re.DOTALL)
_BY_REPR: Final = {repr(pattern): meaning for pattern, meaning in _MEANINGS.items()}


def in_words(message: str) -> str:
    """Returns msgspec's message on a text that does not match, in words; any other message as it is."""
    match = _MISMATCH.match(message)
    return _BY_REPR.get(match["pattern"], message) if match else message
