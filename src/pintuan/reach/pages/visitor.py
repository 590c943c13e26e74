"""The visitor of a page: one sealed cookie, and the tokens of forms that belong to it.

The cookie holds no access token and no rotating one: a browser asks for several things at once, and a token
that is used twice would end its session. It names a session's row instead, which is looked up at every
request, so that signing out, an erasure or a changed role count at once (docs/decisions/0019).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.fernet import InvalidToken

from pintuan.base.errors import Forbidden
from pintuan.people.identity.sessions import IDLE_LIFETIME_S, parse_token
from pintuan.reach.pages.cookies import read_cookie
from pintuan.reach.pages.store import account_of_session

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.auth import Principal
    from pintuan.base.keyring import Keyring
    from pintuan.base.settings.settings import Settings
    from pintuan.http.bodies import ApiRequest

COOKIE_LENGTH_MAX: Final = 2048
_ID_BYTES: Final = 16
_TOKEN_BYTES: Final = 16
# A browser says by itself where a request comes from (W3C Fetch Metadata); older ones say nothing.
_SITE_HEADER: Final = "sec-fetch-site"
_FOREIGN_SITES: Final = frozenset({"cross-site", "same-site"})


class Visitor(msgspec.Struct, frozen=True):
    """The content of the cookie: a random id, the session's token once signed in, the address a
    code went to.
    """

    id: str
    session: str | None = None
    contact: str | None = None

    def __repr__(self) -> str:
        return "Visitor(***)"


def new_visitor(*, session: str | None = None, contact: str | None = None) -> Visitor:
    """Returns a visitor with a fresh id, as signing in must make one (session fixation)."""
    return Visitor(secrets.token_urlsafe(_ID_BYTES), session, contact)


def visitor_of(request: ApiRequest, keyring: Keyring, settings: Settings) -> Visitor | None:
    """Returns the visitor of a request's cookie; None without one, and for one that is not ours."""
    header = request.headers.get("cookie", "")
    sealed = read_cookie(header, cookie_name(settings), length_max=COOKIE_LENGTH_MAX)
    if sealed is None:
        return None
    try:
        opened = keyring.fernet("browser-session").decrypt(sealed.encode())
        return msgspec.json.decode(opened, type=Visitor)
    except (InvalidToken, msgspec.DecodeError, UnicodeError):
        return None


async def signed_in(pool: asyncpg.Pool, visitor: Visitor | None) -> Principal | None:
    """Returns who is signed in, or None."""
    token = None if visitor is None or visitor.session is None else parse_token(visitor.session)
    return None if token is None else await account_of_session(pool, token)


def cookie_name(settings: Settings) -> str:
    """Returns the cookie's name; one with `__Host-` is taken over TLS and from this very host alone."""
    return "__Host-pintuan" if settings.env == "production" else "pintuan"


def set_cookie(visitor: Visitor, keyring: Keyring, settings: Settings) -> str:
    """Returns the value of Set-Cookie that keeps a visitor."""
    sealed = keyring.fernet("browser-session").encrypt(msgspec.json.encode(visitor)).decode()
    secure = "; Secure" if settings.env == "production" else ""
    name = cookie_name(settings)
    return f"{name}={sealed}; Path=/; Max-Age={IDLE_LIFETIME_S}; HttpOnly; SameSite=Lax{secure}"


def form_token(keyring: Keyring, visitor: Visitor) -> str:
    """Returns what a form must send back: it belongs to the visitor, and another site cannot read it."""
    return _tokens(keyring, visitor)[0]


def check_form(request: ApiRequest, keyring: Keyring, visitor: Visitor | None, token: str) -> Visitor:
    """Returns the visitor if a form is their own.

    Raises:
        Forbidden: the form was sent from another site, belongs to somebody else, or the cookie is missing.
    """
    if request.headers.get(_SITE_HEADER, "") in _FOREIGN_SITES:
        raise Forbidden("The form was sent from another site.")
    # Compared as bytes, because a text with other letters than ASCII's would be a TypeError.
    sent = token.encode()
    known = [] if visitor is None else _tokens(keyring, visitor)
    if visitor is None or not any(hmac.compare_digest(sent, text.encode()) for text in known):
        raise Forbidden("The form is not from this page, or the browser keeps no cookies.")
    return visitor


def _tokens(keyring: Keyring, visitor: Visitor) -> list[str]:
    return [
        hmac.digest(key, visitor.id.encode(), hashlib.sha256)[:_TOKEN_BYTES].hex()
        for key in keyring.subkeys("form").values()
    ]
