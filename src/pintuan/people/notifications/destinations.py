"""The destinations of messages: the servers a provider must reach, and may be slow to reach.

Messages to one destination leave places to those of others (`pintuan.people.notifications.courier`).
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache
from typing import TYPE_CHECKING, Final

import phonenumbers
from publicsuffixlist import PublicSuffixList

if TYPE_CHECKING:
    from pintuan.base.keyring import Keyring
    from pintuan.people.contacts.channels import Channel

DIGEST_CHARS: Final = 16


def destination_digest(keyring: Keyring, channel: Channel, address: str) -> str:
    """Returns a keyed hash of the destination, in hexadecimal digits; nothing where a channel has but one."""
    destination = destination_of(channel, address)
    if not destination:
        return ""
    text = f"destination:{channel}:{destination}".encode()
    return hmac.digest(keyring.subkey("contact"), text, hashlib.sha256).hex()[:DIGEST_CHARS]


def destination_of(channel: Channel, address: str) -> str:
    """Returns the domain that somebody owns, or the calling code of a country; pushes have one destination.

    Subdomains of one owner are one destination, because their owner makes them at will.
    """
    match channel:
        case "email":
            return _owned_domain(address.rpartition("@")[2])
        case "sms":
            return f"+{phonenumbers.parse(address, None).country_code}"
        case "push":
            return ""


def _owned_domain(domain: str) -> str:
    return _public_suffixes().privatesuffix(domain) or domain


@cache
def _public_suffixes() -> PublicSuffixList:
    # Suffixes that companies run, like blogspot.com, are left out: names under them cost nothing.
    return PublicSuffixList(only_icann=True)
