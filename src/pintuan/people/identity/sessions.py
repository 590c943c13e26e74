"""Sessions and their refresh tokens.

A refresh token names its session (128 bits) and carries a secret (256 bits). Only the SHA-256 hash of the
newest secret is kept. Each use replaces the secret. A token whose secret is not the newest was therefore used
before, by its owner or by a thief. Nobody can tell which, so the session ends (RFC 9700 section 4.14.2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from groups.ids import new_id
from pintuan.base.auth.tokens import LIFETIME_S, TokenIssuer
from pintuan.base.errors import Unauthenticated
from pintuan.people.identity import codes, store
from pintuan.people.identity.metrics import SIGN_IN_CODES
from pintuan.people.identity.schemas import Tokens
from sql.retry import retry_serialization

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.clock import ServerClock
    from pintuan.base.keyring import Keyring
    from pintuan.base.locales import Language
    from pintuan.people.contacts.contacts import Contact
    from pintuan.people.identity.store import Account
    from pintuan.people.identity.turns import Turns
    from sql import Connection

TOKEN_PREFIX: Final = "ptr_"  # noqa: S105 - this begins every token and is no secret.
FAMILY_BYTES: Final = 16
SECRET_BYTES: Final = 32
# A session unused for this long ends; a used one ends eventually as well.
IDLE_LIFETIME_S: Final = 30 * 24 * 3600
LIFETIME_MAX_S: Final = 90 * 24 * 3600

_logger = structlog.get_logger("pintuan.people.identity")


class RefreshToken(msgspec.Struct, frozen=True):
    """The two parts of a refresh token; `family` names the session, `secret` is known to its holder alone."""

    family: bytes
    secret: bytes

    def __repr__(self) -> str:
        return "RefreshToken(***)"

    @property
    def text(self) -> str:
        """The token as clients see it."""
        return TOKEN_PREFIX + base64.urlsafe_b64encode(self.family + self.secret).decode("ascii")

    @property
    def secret_digest(self) -> bytes:
        """The kept digest of the secret; the secret has no pattern to guess, so a plain hash will do."""
        return hashlib.sha256(self.secret).digest()


async def sign_in(
    pool: asyncpg.Pool,
    keyring: Keyring,
    clock: ServerClock,
    turns: Turns,
    contact: Contact,
    code: str,
    *,
    client_key: str,
    language: Language | None = None,
) -> Tokens:
    """Uses a code up and begins a session, on a new account where the contact has none.

    `turns` are those of the process. `client_key` is what limits count the client under; `language` is what
    the person reads, where known.

    Raises:
        Unauthenticated: the code is wrong, has expired, was replaced, used, or tried too often.
        RateLimited: too many wrong codes were tried for the contact.
        Overloaded: others take too long to sign in with it.
    """

    async def transaction() -> tuple[Account, RefreshToken, str] | None:
        async with pool.acquire() as connection, connection.transaction():
            if not await codes.take_code(connection, keyring, contact, code, client_key=client_key):
                return None
            account = await codes.account_of(connection, contact)
            if language is not None:
                await store.set_language(connection, account.id, language)
            return account, *await _begin(connection, account)

    async with turns.turn(contact.digests(keyring)[0]):
        with codes.counted_refusals():
            signed_in = await retry_serialization(transaction)
    SIGN_IN_CODES.labels("wrong" if signed_in is None else "right").inc()
    if signed_in is None:
        raise Unauthenticated("The code is wrong or has expired.")
    account, token, session_id = signed_in
    return _tokens_of(keyring, clock, account, token, IDLE_LIFETIME_S, session_id)


async def refresh(pool: asyncpg.Pool, keyring: Keyring, clock: ServerClock, token_text: str) -> Tokens:
    """Replaces a refresh token, and gives out an access token with the role the account has now.

    Raises:
        Unauthenticated: the token is none, or its session has ended; a token used before ends it.
    """
    token = parse_token(token_text)
    if token is None:
        raise Unauthenticated("The refresh token is not valid.")

    async def transaction() -> tuple[Account, RefreshToken, int, str] | None:
        async with pool.acquire() as connection, connection.transaction():
            return await _rotate(connection, token)

    rotated = await retry_serialization(transaction)
    if rotated is None:
        raise Unauthenticated("The refresh token is not valid.")
    account, newest, expires_in_s, session_id = rotated
    return _tokens_of(keyring, clock, account, newest, expires_in_s, session_id)


async def revoke(pool: asyncpg.Pool, token_text: str) -> None:
    """Ends the session a token belongs to; a token of none changes nothing (RFC 7009 section 2.2)."""
    token = parse_token(token_text)
    if token is None:
        return

    async def transaction() -> None:
        async with pool.acquire() as connection, connection.transaction():
            session = await store.lock_session(connection, token.family)
            if session is not None:
                await store.revoke_session(connection, session.id)

    await retry_serialization(transaction)


async def revoke_all(connection: Connection, account_id: str) -> list[str]:
    """Ends all sessions of an account in the caller's transaction; returns their ids.

    Every process refuses their access tokens within seconds (`pintuan/people/identity/erased.py`).
    """
    return await store.revoke_sessions(connection, account_id)


def parse_token(text: str) -> RefreshToken | None:
    """Returns the parts of a token's text, or None for a text that is none."""
    if not text.startswith(TOKEN_PREFIX):
        return None
    try:
        raw = base64.b64decode(text.removeprefix(TOKEN_PREFIX), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    if len(raw) != FAMILY_BYTES + SECRET_BYTES:
        return None
    return RefreshToken(raw[:FAMILY_BYTES], raw[FAMILY_BYTES:])


async def _begin(connection: Connection, account: Account) -> tuple[RefreshToken, str]:
    session_id = new_id("ses")
    token = RefreshToken(secrets.token_bytes(FAMILY_BYTES), secrets.token_bytes(SECRET_BYTES))
    await store.insert_session(
        connection,
        session_id=session_id,
        account_id=account.id,
        family=token.family,
        secret_digest=token.secret_digest,
        lifetime_ms=IDLE_LIFETIME_S * 1000,
    )
    return token, session_id


async def _rotate(
    connection: Connection, token: RefreshToken
) -> tuple[Account, RefreshToken, int, str] | None:
    session = await store.lock_session(connection, token.family)
    if session is None:
        return None
    if not hmac.compare_digest(session.secret_digest, token.secret_digest):
        await store.revoke_session(connection, session.id)
        _logger.warning("session ended: a refresh token was used twice", session_id=session.id)
        return None
    newest = RefreshToken(token.family, secrets.token_bytes(SECRET_BYTES))
    expires_in_s = await store.rotate_session(
        connection,
        session.id,
        newest.secret_digest,
        lifetime_ms=IDLE_LIFETIME_S * 1000,
        lifetime_max_ms=LIFETIME_MAX_S * 1000,
    )
    role = await store.role_of_account(connection, session.account_id)
    return store.Account(session.account_id, role), newest, expires_in_s, session.id


def _tokens_of(
    keyring: Keyring,
    clock: ServerClock,
    account: Account,
    token: RefreshToken,
    expires_in_s: int,
    session_id: str,
) -> Tokens:
    issuer = TokenIssuer(keyring)
    return Tokens(
        access_token=issuer.issue(account.id, account.role, now_s=clock.now_s(), session_id=session_id),
        token_type="Bearer",  # noqa: S106 - it names a scheme and is no secret.
        expires_in=LIFETIME_S,
        refresh_token=token.text,
        refresh_expires_in=expires_in_s,
    )
