"""Hashes that stand for addresses, so that messages are found without keeping whom they went to."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pintuan.base.keyring import Keyring
    from pintuan.people.contacts.channels import Channel


def recipient_digests(keyring: Keyring, channel: Channel, address: str) -> list[bytes]:
    """Returns the keyed hashes (HMAC-SHA-256) an address may be kept under, the current one first."""
    text = f"{channel}:{address}".encode()
    return [hmac.digest(key, text, hashlib.sha256) for key in keyring.subkeys("contact").values()]
