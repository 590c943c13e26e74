"""Addresses of pictures as browsers read them, written as every program can."""

from __future__ import annotations

import re
from typing import Final

from ada_url import URL

from pintuan.shop.catalog.limits import IMAGE_URL_CHARS_MAX

_SCHEMES: Final = ("http:", "https:")
_ADDRESS: Final = re.compile(r"(https?://[^/?#]+)([^?#]*)(\?[^#]*)?(?:#(.*))?", re.DOTALL)
# Whatever RFC 3986 has no place for; browsers leave some of it as it is.
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9\-._~:/?@!$&'()*+,;=%]|%(?![0-9A-Fa-f]{2})")
_HOST: Final = re.compile(r"https?://[A-Za-z0-9\-._~:@!$&'()*+,;=%\[\]]+")


def image_address(text: str) -> str | None:
    """Returns an http or https address as a valid URI (RFC 3986), or None for text that is no such address.

    Blanks, other scripts, backslashes and a missing scheme (`//host/p.png`) are read as browsers do (WHATWG
    URL). A relative address is none, because nobody knows the page it stood on.
    """
    text = text.strip()
    if len(text) > IMAGE_URL_CHARS_MAX:
        return None
    try:
        url = URL(f"https:{text}" if text.startswith("//") else text)
    except ValueError:
        return None
    parts = _ADDRESS.fullmatch(url.href)
    if url.protocol not in _SCHEMES or parts is None or _HOST.fullmatch(parts[1]) is None:
        return None
    origin, path, query, fragment = parts.groups()
    address = origin + _encoded(path) + _encoded(query or "")
    if fragment:
        address = f"{address}#{_encoded(fragment)}"
    return address if len(address) <= IMAGE_URL_CHARS_MAX else None


def _encoded(part: str) -> str:
    return _FOREIGN.sub(lambda found: f"%{ord(found[0]):02X}", part)
