"""Access tokens: signed JWTs (RFC 7519, HS256), verified strictly and remembered for a moment.

Verifying costs about as much as everything else in a join, and one shopper's token comes back with every
call, so verified tokens are kept in a bounded table. Their expiry is checked by the server's clock each time.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, cast

import jwt

from pintuan.auth.principal import ROLES, Principal, Role, is_subject
from pintuan.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

    from pintuan.auth.keyring import Keyring, Purpose

PURPOSE: Final[Purpose] = "access-token"
ALGORITHM: Final = "HS256"
ISSUER: Final = "pintuan"
AUDIENCE: Final = "pintuan-api"
LIFETIME_S: Final = 15 * 60
LEEWAY_S: Final = 2
TOKEN_LENGTH_MAX: Final = 2048
VERIFIED_COUNT_MAX: Final = 20_000
_REQUIRED_CLAIMS: Final = ("iss", "aud", "sub", "role", "jti", "iat", "exp")
_JTI_BYTES: Final = 12


class TokenIssuer:
    """Signs access tokens with the current key of a keyring, and names it in the header's `kid`."""

    def __init__(self, keyring: Keyring) -> None:
        self._key = keyring.subkey(PURPOSE)
        self._header = {"kid": keyring.kid}
        self._jwt = jwt.PyJWT()

    def issue(self, subject: str, role: Role, *, now_s: float, lifetime_s: int = LIFETIME_S) -> str:
        """Returns a token for `subject`, valid from `now_s` (Unix seconds) for `lifetime_s`.

        Raises:
            ValueError: the subject is empty, too long, padded or not printable; the lifetime is below 1 s.
        """
        if not is_subject(subject):
            raise ValueError("the subject must be 1 to 128 printable characters without padding")
        if lifetime_s < 1:
            raise ValueError("the lifetime must be at least a second")
        issued_s = int(now_s)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "role": role,
            "jti": secrets.token_hex(_JTI_BYTES),
            "iat": issued_s,
            "exp": issued_s + lifetime_s,
        }
        return self._jwt.encode(claims, self._key, algorithm=ALGORITHM, headers=self._header)


class TokenVerifier:
    """Verifies access tokens; `now_s` answers the server's time in Unix seconds, never the process' own."""

    def __init__(self, keyring: Keyring, now_s: Callable[[], float]) -> None:
        self._keys = keyring.subkeys(PURPOSE)
        self._now_s = now_s
        self._jwt = jwt.PyJWT()
        self._verified: OrderedDict[str, tuple[Principal, int]] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """Returns the principal of a valid token.

        Raises:
            Unauthenticated: the token is malformed, forged, expired, from the future or for somebody else.
        """
        now_s = self._now_s()
        remembered = self._verified.get(token)
        if remembered is None:
            remembered = self._decode(token, now_s)
            self._remember(token, remembered)
        else:
            self._verified.move_to_end(token)
        principal, expires_s = remembered
        if now_s >= expires_s + LEEWAY_S:
            self._verified.pop(token, None)
            raise Unauthenticated("The access token has expired.")
        return principal

    def _remember(self, token: str, verified: tuple[Principal, int]) -> None:
        self._verified[token] = verified
        if len(self._verified) > VERIFIED_COUNT_MAX:
            self._verified.popitem(last=False)

    def _decode(self, token: str, now_s: float) -> tuple[Principal, int]:
        claims = self._claims_of(token)
        subject, role, issued_s, expires_s = (claims[name] for name in ("sub", "role", "iat", "exp"))
        if not is_subject(subject) or role not in ROLES:
            raise Unauthenticated("The access token names no valid caller.")
        # bool is an int to Python, and true is no time.
        if any(not isinstance(claim, int) or isinstance(claim, bool) for claim in (issued_s, expires_s)):
            raise Unauthenticated("The access token has no valid times.")
        if issued_s > now_s + LEEWAY_S:
            raise Unauthenticated("The access token is not valid yet.")
        if expires_s > issued_s + LIFETIME_S:
            raise Unauthenticated("The access token lives longer than any we issue.")
        return Principal(subject, cast("Role", role)), expires_s

    def _claims_of(self, token: str) -> dict[str, Any]:
        if len(token) > TOKEN_LENGTH_MAX:
            raise Unauthenticated("The access token is too long.")
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            # PyJWT would compare the times with this process' own clock; `_decode` does it by the server's.
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
        except (jwt.PyJWTError, LookupError, TypeError, ValueError) as error:
            raise Unauthenticated("The access token does not verify.") from error
