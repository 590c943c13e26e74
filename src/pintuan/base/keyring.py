"""The deployment's secret keys, and the keys derived from them for one purpose each.

The current key (`PINTUAN_SECRET_KEY`) signs and encrypts; those of `PINTUAN_SECRET_KEYS_ACCEPTED` only verify
and decrypt what another one made. A key is therefore changed without an outage. First every process accepts
the new key, then it is swapped with the current one. The old one is dropped when nothing made with it is
still alive (docs/decisions/0008). No secret is ever used itself: each purpose has a subkey of its own (HKDF,
RFC 5869).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# One list for the whole product, so that no two modules share a subkey by accident.
Purpose: TypeAlias = Literal[
    "access-token",
    "refresh-token",
    "otp",
    "contact",
    "notification",
    "webhook",
    "invite",
    "unsubscribe",
    "browser-session",
    "form",
]

SUBKEY_BYTES: Final = 32
KID_BYTES: Final = 8
_KID: Final = "kid"
_INFO_PREFIX: Final = "pintuan/"


class Keyring:
    """The current secret and the others accepted; answers subkeys, never a secret."""

    def __init__(self, current: str, accepted: Sequence[str] = ()) -> None:
        """Takes secrets of any length, though fewer than 32 random characters protect nothing.

        Raises:
            ValueError: a secret is empty.
        """
        # A secret that is both current and accepted, as in the middle of a rotation, counts once.
        secrets = dict.fromkeys((current, *accepted))
        if "" in secrets:
            raise ValueError("a secret key is empty")
        self._secrets = {_derive(secret, _KID, KID_BYTES).hex(): secret for secret in secrets}
        self._subkeys: dict[Purpose, dict[str, bytes]] = {}

    @property
    def kids(self) -> tuple[str, ...]:
        """The fingerprints of all keys, the current one's first; none tells anything about its secret."""
        return tuple(self._secrets)

    @property
    def kid(self) -> str:
        """The fingerprint of the current key."""
        return self.kids[0]

    def subkeys(self, purpose: Purpose) -> dict[str, bytes]:
        """Returns the 32-byte keys for one purpose by `kid`; the first makes, every one verifies."""
        known = self._subkeys.get(purpose)
        if known is None:
            known = {kid: _derive(secret, purpose, SUBKEY_BYTES) for kid, secret in self._secrets.items()}
            self._subkeys[purpose] = known
        return known

    def subkey(self, purpose: Purpose) -> bytes:
        """Returns the current 32-byte key for one purpose."""
        return self.subkeys(purpose)[self.kid]

    def fernet(self, purpose: Purpose) -> MultiFernet:
        """Returns what encrypts under the current key and decrypts under any accepted one.

        `decrypt` raises `cryptography.fernet.InvalidToken`.
        """
        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in self.subkeys(purpose).values()])


def _derive(secret: str, purpose: str, length_bytes: int) -> bytes:
    info = (_INFO_PREFIX + purpose).encode("ascii")
    return HKDF(hashes.SHA256(), length_bytes, salt=None, info=info).derive(secret.encode())
