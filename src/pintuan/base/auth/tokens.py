"""Our own access tokens: signed JWTs (RFC 7519, HS256) that name the key they are signed with."""

from __future__ import annotations

import base64
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import jwt
import msgspec

from pintuan.base.auth.principal import ROLES, Principal, Role, is_own_subject
from pintuan.base.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

    from pintuan.base.keyring import Keyring, Purpose

PURPOSE: Final[Purpose] = "access-token"
ALGORITHM: Final = "HS256"
ISSUER: Final = "pintuan"
AUDIENCE: Final = "pintuan-api"
LIFETIME_S: Final = 15 * 60
LEEWAY_S: Final = 2
TOKEN_LENGTH_MAX: Final = 2048
# Tokens of one key have one header, so a few cover them all.
HEADER_COUNT_MAX: Final = 64
_REQUIRED_CLAIMS: Final = ("iss", "aud", "sub", "role", "jti", "iat", "exp")
_JTI_BYTES: Final = 12


class TokenIssuer:
    """Signs access tokens with the current key of a keyring, and names it in the header's `kid`."""

    def __init__(self, keyring: Keyring) -> None:
        self._key = keyring.subkey(PURPOSE)
        self._header = {"kid": keyring.kid}
        self._jwt = jwt.PyJWT()

    def issue(
        self,
        subject: str,
        role: Role,
        *,
        now_s: float,
        lifetime_s: int = LIFETIME_S,
        session_id: str | None = None,
    ) -> str:
        """Returns a token for `subject`, valid from `now_s` (Unix seconds) for `lifetime_s`.

        `session_id` names the session it is issued for (`sid`, OpenID Connect Front-Channel Logout 1.0).

        Raises:
            ValueError: the subject is none of ours (`is_own_subject`), or the lifetime is below 1 s.
        """
        if not is_own_subject(subject):
            raise ValueError("the subject must be 1 to 128 printable characters without padding or |")
        if lifetime_s < 1:
            raise ValueError("the lifetime must be at least a second")
        issued_s = int(now_s)
        claims: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "role": role,
            "jti": secrets.token_hex(_JTI_BYTES),
            "iat": issued_s,
            "exp": issued_s + lifetime_s,
        }
        if session_id is not None:
            claims["sid"] = session_id
        return self._jwt.encode(claims, self._key, algorithm=ALGORITHM, headers=self._header)


class Verified(NamedTuple):
    """The principal of a credential, and until when that is known (Unix seconds by the server's clock)."""

    principal: Principal
    until_s: float


class TokenVerifier:
    """Verifies our own access tokens; `now_s` answers the server's time in Unix seconds."""

    def __init__(self, keyring: Keyring, now_s: Callable[[], float]) -> None:
        self._keys = keyring.subkeys(PURPOSE)
        self._now_s = now_s
        self._jwt = jwt.PyJWT()

    def issued(self, token: str) -> bool:
        """Says whether a token claims to be signed by one of our keys."""
        return _kid_of(token) in self._keys

    def verify(self, token: str) -> Verified:
        """Returns the principal of a valid token.

        Raises:
            Unauthenticated: the token is malformed, forged, expired, from the future or for somebody else.
        """
        now_s = self._now_s()
        claims = self._claims_of(token)
        subject, role, issued_s, expires_s = (claims[name] for name in ("sub", "role", "iat", "exp"))
        if not is_own_subject(subject) or role not in ROLES:
            raise Unauthenticated("The access token names no valid caller.")
        # bool is an int to Python, and true is no time.
        if any(not isinstance(claim, int) or isinstance(claim, bool) for claim in (issued_s, expires_s)):
            raise Unauthenticated("The access token has no valid times.")
        if issued_s > now_s + LEEWAY_S:
            raise Unauthenticated("The access token is not valid yet.")
        if expires_s > issued_s + LIFETIME_S:
            raise Unauthenticated("The access token lives longer than any we issue.")
        if now_s >= expires_s + LEEWAY_S:
            raise Unauthenticated("The access token has expired.")
        session_id = claims.get("sid")
        if session_id is not None and not is_own_subject(session_id):
            raise Unauthenticated("The access token names no session.")
        return Verified(Principal(subject, cast("Role", role), session_id=session_id), expires_s + LEEWAY_S)

    def _claims_of(self, token: str) -> dict[str, Any]:
        if len(token) > TOKEN_LENGTH_MAX:
            raise Unauthenticated("The access token is too long.")
        key = self._keys.get(_kid_of(token) or "")
        if key is None:
            raise Unauthenticated("The access token names no key of ours.")
        try:
            # PyJWT would compare the times with this process' own clock; `verify` does it by the server's.
            return self._jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={
                    "require": list(_REQUIRED_CLAIMS),
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthenticated("The access token does not verify.") from error


def _kid_of(token: str) -> str | None:
    """Returns the key a token names in its header (RFC 7515 section 4.1.4), or None; it may not be true."""
    header, separator, _ = token.partition(".")
    return _kid_in(header) if separator and len(token) <= TOKEN_LENGTH_MAX else None


@lru_cache(maxsize=HEADER_COUNT_MAX)
def _kid_in(header: str) -> str | None:
    try:
        values = msgspec.json.decode(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, msgspec.DecodeError, RecursionError):
        return None
    kid = values.get("kid") if isinstance(values, dict) else None
    return kid if isinstance(kid, str) else None
