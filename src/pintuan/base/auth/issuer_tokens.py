"""Tokens of trusted issuers: verified with their published keys, by their entry in the settings."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import jwt

from pintuan.base.auth.key_set import ALGORITHMS, KeySet
from pintuan.base.auth.principal import ISSUER_SEPARATOR, Principal, Role, is_subject
from pintuan.base.auth.tokens import Verified
from pintuan.base.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pintuan.base.auth.trusted_issuer import TrustedIssuer

FOREIGN_TOKEN_LENGTH_MAX: Final = 8192
# Nothing an issuer says can be taken back before it ends, so it may not last.
FOREIGN_LIFETIME_S_MAX: Final = 3600
# Other people's clocks are set by other people.
FOREIGN_LEEWAY_S: Final = 30
# Later than any real time, and smaller than the largest float.
TIME_S_END: Final = 2**40
# `jwt` would compare the times with this process' own clock; here it is done by the server's.
_OPTIONS: Final[Any] = {
    "require": ["iss", "aud", "sub", "iat", "exp"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


class IssuerTokens:
    """Verifies the tokens of all trusted issuers; `now_s` answers the server's time in Unix seconds."""

    def __init__(
        self, issuers: Sequence[TrustedIssuer], now_s: Callable[[], float], *, on_change: Callable[[], None]
    ) -> None:
        self._now_s = now_s
        self._jwt = jwt.PyJWT()
        self._issuers = {issuer.issuer: (issuer, KeySet(issuer, on_change=on_change)) for issuer in issuers}

    async def verify(self, token: str) -> Verified:
        """Returns the principal of a valid token.

        Raises:
            Unauthenticated: no trusted issuer signed it, it is expired or lives too long, or is for others.
            Overloaded: its issuer's keys cannot be had for the moment.
        """
        header, claims = self._unverified(token)
        issuer, key_set = self._issuer_of(claims)
        kid, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(kid, str) or not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise Unauthenticated("The access token names no key that its issuer could have.")
        key = await key_set.find(kid, algorithm)
        if key is None:
            raise Unauthenticated("The access token names no key of its issuer.")
        claims = self._verified_claims(token, key, issuer)
        until_s = _end_of(claims, self._now_s())
        return Verified(Principal(_subject_of(claims, issuer), _role_of(claims, issuer)), until_s)

    @asynccontextmanager
    async def kept_current(self) -> AsyncIterator[None]:
        """Keeps all issuers' keys current for the life of the block."""
        async with AsyncExitStack() as stack:
            for _, key_set in self._issuers.values():
                await stack.enter_async_context(key_set.kept_current())
            yield

    def _unverified(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        if not self._issuers or len(token) > FOREIGN_TOKEN_LENGTH_MAX:
            raise Unauthenticated("The access token is signed with no key that this server knows.")
        try:
            parts = self._jwt.decode_complete(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthenticated("The access token does not verify.") from error
        return parts["header"], parts["payload"]

    def _issuer_of(self, claims: dict[str, Any]) -> tuple[TrustedIssuer, KeySet]:
        named = claims.get("iss")
        found = self._issuers.get(named) if isinstance(named, str) else None
        if found is None:
            raise Unauthenticated("The access token is of no issuer we trust.")
        return found

    def _verified_claims(self, token: str, key: jwt.PyJWK, issuer: TrustedIssuer) -> dict[str, Any]:
        try:
            return self._jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=issuer.issuer,
                audience=issuer.audience,
                options=_OPTIONS,
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthenticated("The access token does not verify.") from error


def _end_of(claims: dict[str, Any], now_s: float) -> float:
    """Returns until when the token counts, after checking its times (NumericDate, RFC 7519 section 2)."""
    issued_s, expires_s, begins_s = claims["iat"], claims["exp"], claims.get("nbf", claims["iat"])
    if not all(_is_time(value) for value in (issued_s, expires_s, begins_s)):
        raise Unauthenticated("The access token has no valid times.")
    if max(issued_s, begins_s) > now_s + FOREIGN_LEEWAY_S:
        raise Unauthenticated("The access token is not valid yet.")
    if expires_s > issued_s + FOREIGN_LIFETIME_S_MAX:
        raise Unauthenticated(f"The access token lives longer than {FOREIGN_LIFETIME_S_MAX} seconds.")
    until_s = float(expires_s) + FOREIGN_LEEWAY_S
    if now_s >= until_s:
        raise Unauthenticated("The access token has expired.")
    return until_s


def _is_time(value: object) -> bool:
    # bool is a number to Python, and true is no time.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < TIME_S_END


def _subject_of(claims: dict[str, Any], issuer: TrustedIssuer) -> str:
    # An empty subject would leave the name alone; PyJWT has checked that it is text.
    subject = f"{issuer.name}{ISSUER_SEPARATOR}{claims['sub']}"
    if not claims["sub"] or not is_subject(subject):
        raise Unauthenticated("The access token names no valid caller.")
    return subject


def _role_of(claims: dict[str, Any], issuer: TrustedIssuer) -> Role:
    if issuer.role_claim is None:
        return issuer.roles[0]
    held = claims.get(issuer.role_claim)
    for role in issuer.roles:
        if held == role or (isinstance(held, list) and role in held):
            return role
    raise Unauthenticated("The access token gives its caller no role here.")
