"""Addresses as they are kept, encrypted, and as they are shown, in part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.fernet import InvalidToken

from pintuan.people.contacts.contacts import Contact

if TYPE_CHECKING:
    from pintuan.base.keyring import Keyring

PHONE_DIGITS_SHOWN: Final = 2
USER_CHARS_SHOWN: Final = 4


def seal_contact(keyring: Keyring, contact: Contact) -> bytes:
    """Returns the contact encrypted under the current key."""
    return keyring.fernet("invite").encrypt(msgspec.json.encode(contact))


def open_contact(keyring: Keyring, sealed: bytes) -> Contact | None:
    """Returns the contact, or None when its key is no longer accepted."""
    try:
        return msgspec.json.decode(keyring.fernet("invite").decrypt(sealed), type=Contact)
    except InvalidToken:
        return None


def mask(contact: Contact) -> str:
    """Returns as much of an address as its owner needs to know it again."""
    if contact.kind == "phone":
        return "…" + contact.address[-PHONE_DIGITS_SHOWN:]
    if contact.kind == "user":
        return "…" + contact.address[-USER_CHARS_SHOWN:]
    name, _, domain = contact.address.rpartition("@")
    return f"{name[:1]}…@{domain}"
