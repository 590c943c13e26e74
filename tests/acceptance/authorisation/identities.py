"""Everybody who may call: nobody, owners, others like them, and those whose credentials must not count."""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple

import jwt

from pintuan.base.auth import Role
from pintuan.base.auth.tokens import ALGORITHM, AUDIENCE, ISSUER, LEEWAY_S, LIFETIME_S, PURPOSE, TokenIssuer
from pintuan.base.keyring import Keyring


class Identity(NamedTuple):
    """A caller: what they call themselves, and whether it counts."""

    name: str
    role: Role | None
    verifies: bool = True
    is_key: bool = False


IDENTITIES: Final = (
    Identity("nobody", None),
    Identity("buyer", "buyer"),
    Identity("fellow member", "buyer"),
    Identity("other buyer", "buyer"),
    Identity("buyer called as the merchant", "buyer"),
    Identity("merchant", "merchant"),
    Identity("other merchant", "merchant"),
    Identity("merchant called as the buyer", "merchant"),
    Identity("merchant's key", "merchant", is_key=True),
    Identity("other merchant's key", "merchant", is_key=True),
    Identity("admin", "admin"),
    Identity("buyer's expired token", "buyer", verifies=False),
    Identity("merchant's expired token", "merchant", verifies=False),
    Identity("admin of another key", "admin", verifies=False),
    Identity("unsigned admin", "admin", verifies=False),
    Identity("unknown role", None, verifies=False),
    Identity("several roles", None, verifies=False),
    Identity("erased buyer", "buyer", verifies=False),
    # The refresh token ended at once, the access token within seconds.
    Identity("buyer who signed out", "buyer", verifies=False),
    Identity("deleted key", "merchant", verifies=False, is_key=True),
    Identity("expired key", "merchant", verifies=False, is_key=True),
    Identity("key with another secret", "merchant", verifies=False, is_key=True),
    Identity("no bearer", None, verifies=False),
)


class Tokens:
    """Makes access tokens, good ones and others."""

    def __init__(self, secret_key: str) -> None:
        self._keyring = Keyring(secret_key)

    def good(self, role: Role, subject: str) -> str:
        """A token as the API issues it."""
        return TokenIssuer(self._keyring).issue(subject, role, now_s=time.time())

    def expired(self, role: Role, subject: str) -> str:
        """One whose time was over a minute ago."""
        ended_s = LIFETIME_S + LEEWAY_S + 60
        return TokenIssuer(self._keyring).issue(subject, role, now_s=time.time() - ended_s)

    def of_another_key(self, role: Role, subject: str) -> str:
        """One that somebody signed who does not know the key."""
        other = TokenIssuer(Keyring("a key that is none of this marketplace's"))
        return other.issue(subject, role, now_s=time.time())

    def with_role(self, role: object, subject: str) -> str:
        """One that is signed as it should be, with a claim that nobody issues."""
        return jwt.encode(
            self._claims(role, subject),
            self._keyring.subkey(PURPOSE),
            algorithm=ALGORITHM,
            headers={"kid": self._keyring.kid},
        )

    def unsigned(self, role: Role, subject: str) -> str:
        """One that says it needs no signature (RFC 7519 section 6)."""
        claims = self._claims(role, subject)
        return jwt.encode(claims, "", algorithm="none", headers={"kid": self._keyring.kid})

    def _claims(self, role: object, subject: str) -> dict[str, Any]:
        now_s = int(time.time())
        return {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "role": role,
            "jti": "0" * 24,
            "iat": now_s,
            "exp": now_s + LIFETIME_S,
        }
