"""The text of an API key, `ptk_<32 hex digits>_<64 hex digits>`: which key it is, then its secret.

The prefix and the fixed shape let a secret scanner find a key that was committed or pasted somewhere.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final, NamedTuple

from groups.ids import new_id

KEY_PREFIX: Final = "ptk_"
ID_PREFIX: Final = "key"
SECRET_BYTES: Final = 32
_SHAPE: Final = re.compile(r"ptk_([0-9a-f]{32})_([0-9a-f]{64})")


class Claimed(NamedTuple):
    """The content of a caller's text: the id of a key and the digest of its secret."""

    key_id: str
    secret_digest: bytes


def new_key() -> tuple[str, Claimed]:
    """Returns the text of a new key, its secret 256 random bits, and the parsed content of that text."""
    key_id, secret = new_id(ID_PREFIX), secrets.token_hex(SECRET_BYTES)
    text = f"{KEY_PREFIX}{key_id.removeprefix(f'{ID_PREFIX}_')}_{secret}"
    return text, Claimed(key_id, _digest(secret))


def read_key_text(text: str) -> Claimed | None:
    """Returns what the text of a key says, or None when it has another shape."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        return None
    return Claimed(f"{ID_PREFIX}_{match[1]}", _digest(match[2]))


def _digest(secret: str) -> bytes:
    # A fast digest is enough: the secret is random, so there is nothing to guess.
    return hashlib.sha256(secret.encode("ascii")).digest()
