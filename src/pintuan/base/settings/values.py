"""Reads the text of a setting: each function takes it and returns the value, or raises ValueError.

The reasons end up in front of an operator, after the name of the variable. A URL can hold a password, so no
reason repeats one.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from email.utils import parseaddr
from ipaddress import ip_network
from typing import Final
from urllib.parse import urlsplit

from pintuan.base.outgoing.addresses import DestinationRefused, destination_of
from pintuan.base.outgoing.signing import SECRET_PREFIX
from pricing.currency import exponent

NO_HOURS: Final = "off"
ANY_ORIGIN: Final = "*"
MASK = "***"
# The specification's bounds of a signing secret.
SIGNING_BYTES_MIN = 24
SIGNING_BYTES_MAX = 64


def choice(*allowed: str) -> Callable[[str], str]:
    """Takes one of the words."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be {' or '.join(allowed)}, not {text!r}")
        return text

    return parse


def switch(text: str) -> bool:
    """Reads `on` or `off`."""
    return choice("on", "off")(text) == "on"


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Takes decimal numbers from `low` to `high`."""

    def parse(text: str) -> int:
        # int() alone would also take "1_000" and other alphabets' digits.
        if re.fullmatch(r"[+-]?[0-9]{1,18}", text) is None or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}, not {text!r}")
        return int(text)

    return parse


def age_days(low: int, high: int) -> Callable[[str], int]:
    """Takes a number of days from `low` to `high`, or 0 for never."""

    def parse(text: str) -> int:
        if text == "0":
            return 0
        try:
            return whole_number(low, high)(text)
        except ValueError:
            raise ValueError(
                f"must be 0, for never, or a number of days from {low} to {high}, not {text!r}"
            ) from None

    return parse


def hours(text: str) -> str:
    """Takes two hours of the day, as in 21-9, or `off`."""
    match = re.fullmatch(r"([0-9]{1,2})-([0-9]{1,2})", text)
    apart = match is not None and int(match[1]) < 24 and int(match[2]) < 24 and int(match[1]) != int(match[2])
    if text != NO_HOURS and not apart:
        raise ValueError(f"must be two hours from 0 to 23, such as 21-9, or off, not {text!r}")
    return text


def fraction(text: str) -> float:
    """Reads a share from 0 to 1."""
    if re.fullmatch(r"[01](\.[0-9]{1,12})?", text) is None or not 0 <= float(text) <= 1:
        raise ValueError(f"must be a number from 0 to 1, not {text!r}")
    return float(text)


def url(*schemes: str) -> Callable[[str], str]:
    """Takes URLs of these schemes."""

    def parse(text: str) -> str:
        expected = " or ".join(f"{scheme}://" for scheme in schemes)
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise ValueError("is not a valid URL; check its host and port") from error
        if parts.scheme not in schemes or not text.lower().startswith(f"{parts.scheme}://"):
            raise ValueError(f"must start with {expected}")
        if port == 0 or any(character.isspace() for character in text):
            raise ValueError("is not a valid URL; check its host and port, and encode spaces")
        return text

    return parse


def web_origin(text: str) -> str:
    """Takes a web address and returns it without a slash at its end."""
    address = url("https", "http")(text)
    parts = urlsplit(address)
    if not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(
            "must be a plain address such as https://shop.example, without user, query or fragment"
        )
    return address.rstrip("/")


def origins(text: str) -> tuple[str, ...]:
    """Takes origins as browsers write them (RFC 6454 section 6.2), separated by commas, or `*`."""
    if text == ANY_ORIGIN:
        return (ANY_ORIGIN,)
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if re.fullmatch(r"https?://[a-z0-9.\-\[\]:]+", name) is None:
            raise ValueError(
                f"must be origins such as https://app.shop.example, in lower case, without path, not {name!r}"
            )
        web_origin(name)
    return names


def secret_keys(*, length_min: int, count_max: int) -> Callable[[str], tuple[str, ...]]:
    """Takes up to `count_max` keys of at least `length_min` characters, separated by commas."""

    def parse(text: str) -> tuple[str, ...]:
        keys = tuple(key.strip() for key in text.split(","))
        if len(keys) > count_max:
            raise ValueError(f"has {len(keys)} keys; at most {count_max} are accepted")
        for place, key in enumerate(keys, start=1):
            # The key itself is a secret, so its place must do.
            if len(key) < length_min:
                raise ValueError(f"key {place} of {len(keys)} has fewer than {length_min} characters")
        return keys

    return parse


def secret_of(*prefixes: str) -> Callable[[str], str]:
    """Takes secrets that begin with one of the prefixes, so that a publishable key is not taken for one."""

    def parse(text: str) -> str:
        if not text.startswith(prefixes) or text in prefixes or not (text.isascii() and text.isprintable()):
            raise ValueError(f"must begin with {' or '.join(prefixes)}")
        return text

    return parse


def push_service(text: str) -> str:
    """Takes URLs that a webhook may be sent to; http and localhost are meant for development."""
    try:
        destination_of(text, allows_loopback=True)
    except DestinationRefused as refused:
        raise ValueError(str(refused)) from refused
    return text


def signing_secret(text: str) -> str:
    """Takes a secret of the Standard Webhooks specification: `whsec_` and 24 to 64 bytes in base64."""
    encoded = text.removeprefix(SECRET_PREFIX)
    try:
        size = len(b64decode(encoded, validate=True))
    except ValueError:
        size = 0
    if encoded == text or not SIGNING_BYTES_MIN <= size <= SIGNING_BYTES_MAX:
        raise ValueError(
            f"must be {SECRET_PREFIX} and the base64 of {SIGNING_BYTES_MIN} to {SIGNING_BYTES_MAX} bytes"
        )
    return text


def mailbox(text: str) -> str:
    """Takes an e-mail address, alone or as `Name <address>` (RFC 5322 section 3.4)."""
    _, address = parseaddr(text)
    local, _, domain = address.rpartition("@")
    if not local or "." not in domain or not text.isprintable():
        raise ValueError(
            f"must be an address such as hello@shop.example or Shop <hello@shop.example>, not {text!r}"
        )
    return text


def mask_url(url: str) -> str:
    """Returns the URL with its password, if it has one, replaced by asterisks."""
    # A password with an unescaped slash is wrong, and must not show for being wrong.
    url = re.sub(r"^([^:/?#]+://[^:@/?#]*):[^?]*@", rf"\1:{MASK}@", url)
    return re.sub(r"(?i)([?&]\w*password=)[^&#]*", rf"\1{MASK}", url)


def apple_app_ids(text: str) -> tuple[str, ...]:
    """Takes application identifiers separated by commas, each a team's prefix and a bundle's identifier."""
    return _each(r"[A-Z0-9]{10}\.[A-Za-z0-9.-]{1,155}", text, "ABCDE12345.example.shop")


def android_apps(text: str) -> tuple[str, ...]:
    """Takes apps separated by commas, each as package=fingerprint of its certificate."""
    return _each(r"[A-Za-z][\w.]{0,254}=([0-9A-F]{2}:){31}[0-9A-F]{2}", text, "example.shop=14:6D:…")


def _each(pattern: str, text: str, example: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(","))
    for part in parts:
        if re.fullmatch(pattern, part) is None:
            raise ValueError(f"must be a list like {example}, not {part!r}")
    return parts


def currency(text: str) -> str:
    """Takes an ISO 4217 code in either case."""
    exponent(text.upper())
    return text.upper()


def proxies(text: str) -> tuple[str, ...]:
    """Takes addresses and networks separated by commas, or `*` alone."""
    if text == "*":
        return (text,)
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        try:
            ip_network(name)
        except ValueError as error:
            raise ValueError(f"must be addresses or networks separated by commas, or *: {error}") from error
    return names
