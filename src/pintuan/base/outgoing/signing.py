"""Secrets and signatures as the Standard Webhooks specification has them (standardwebhooks.com).

A secret is `whsec_` and the base64 of 24 to 64 random bytes. The signed text is `<id>.<timestamp>.<body>`, by
HMAC-SHA256; while two secrets are alive, the header has a signature of each.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

from cryptography.fernet import InvalidToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pintuan.base.keyring import Keyring

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with.
SECRET_BYTES: Final = 32
_VERSION: Final = "v1"


def new_secret() -> str:
    """Returns a new secret of `SECRET_BYTES` random bytes, as a merchant is shown it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def seal(keyring: Keyring, secret: str) -> bytes:
    """Returns the secret encrypted under the current key."""
    return keyring.fernet("webhook").encrypt(secret.encode("ascii"))


def unseal(keyring: Keyring, sealed: bytes) -> str | None:
    """Returns the secret, or None when its key is no longer accepted."""
    try:
        return keyring.fernet("webhook").decrypt(sealed).decode("ascii")
    except InvalidToken:
        return None


def signed_headers(
    secrets_live: Sequence[str], message_id: str, body: bytes, *, now_s: int
) -> dict[str, str]:
    """Returns the three headers of a message; signatures stand in the order of the secrets.

    Raises:
        ValueError: a secret is not of the form that `new_secret` makes.
    """
    signed = b"%s.%d.%s" % (message_id.encode("ascii"), now_s, body)
    signatures = [hmac.digest(_key_of(secret), signed, hashlib.sha256) for secret in secrets_live]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(
            f"{_VERSION},{base64.b64encode(signature).decode('ascii')}" for signature in signatures
        ),
    }


def _key_of(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a webhook secret is not base64") from error
