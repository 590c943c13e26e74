"""Opaque identifiers that sort roughly by creation, so that indexes stay dense at their right edge."""

from __future__ import annotations

import time
from os import urandom

SHARE_CODE_LENGTH = 10
_TIME_MASK = (1 << 48) - 1
# No vowels and no look-alikes: a code is read aloud and typed, and must not spell anything.
_SHARE_ALPHABET = b"23456789bcdfghjkmnpqrstvwxyz"
# Random bytes become letters by a table; those above the alphabet's last multiple would favour its start.
_SHARE_ACCEPTED = 256 - 256 % len(_SHARE_ALPHABET)
_SHARE_LETTERS = bytes(_SHARE_ALPHABET[byte % len(_SHARE_ALPHABET)] for byte in range(256))
_SHARE_REJECTED = bytes(range(_SHARE_ACCEPTED, 256))
# With this many characters a second draw is rare.
_SHARE_BYTES = SHARE_CODE_LENGTH + 4


def new_id(prefix: str) -> str:
    """Returns `prefix_` + 32 hex digits: 48 bits of milliseconds, then 80 random bits.

    The time part only gives index locality; nothing may be decided from it, because it comes from the
    process' own clock.
    """
    milliseconds = time.time_ns() // 1_000_000 & _TIME_MASK
    return f"{prefix}_{milliseconds:012x}{urandom(10).hex()}"


def new_share_code() -> str:
    """Returns a code of `SHARE_CODE_LENGTH` characters, about 48 bits, for a group's shared link."""
    code = b""
    while len(code) < SHARE_CODE_LENGTH:
        code += urandom(_SHARE_BYTES).translate(_SHARE_LETTERS, _SHARE_REJECTED)
    return code[:SHARE_CODE_LENGTH].decode("ascii")
