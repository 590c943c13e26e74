"""Reads one cookie out of a Cookie header (RFC 6265 section 4.2).

The standard library's reader takes quadratic time for a value full of backslashes (CVE-2024-7592), and it
would read everybody's cookies where one is ours. This one looks at each character once, and at so many only.
"""

from __future__ import annotations

from typing import Final

HEADER_LENGTH_MAX: Final = 16 * 1024
"""Others of the same site set cookies too; browsers and proxies stop at less."""
COOKIES_MAX: Final = 200


def read_cookie(header: str, name: str, *, length_max: int) -> str | None:
    """Returns the value of the first cookie of this name; None without one, and for one that is too long.

    Ours need no quoting, so a value that is quoted is none of ours.
    """
    for pair in header[:HEADER_LENGTH_MAX].split(";", COOKIES_MAX)[:COOKIES_MAX]:
        found, is_pair, value = pair.partition("=")
        if is_pair and found.strip() == name:
            value = value.strip()
            return value if len(value) <= length_max else None
    return None
