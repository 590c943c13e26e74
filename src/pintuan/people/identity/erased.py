"""Subjects that were erased or signed out: an access token outlives both for some minutes, and must not be
taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.base.auth.tokens import LEEWAY_S, LIFETIME_S
from pintuan.base.auth.verifier import REFUSED_COUNT_MAX, REFUSED_HERE_S
from pintuan.base.errors import Unauthenticated
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

IDENTITY: Final = load_queries(__package__)


# No access token that was issued before an erasure is alive this long after it.
TOKENS_MS: Final = round(REFUSED_HERE_S * 1000)
# The same for a session, which only our own tokens are issued for; one may be issued while it ends.
SESSION_TOKENS_MS: Final = (LIFETIME_S + LEEWAY_S + 60) * 1000


async def recently_erased_subjects(pool: asyncpg.Pool) -> list[str]:
    """Returns the subjects whose access tokens must be refused, though they have not expired."""
    rows = await pool.fetch(IDENTITY["recently_erased_subjects"], TOKENS_MS)
    return [row["subject"] for row in rows]


async def recently_refused(pool: asyncpg.Pool) -> list[str]:
    """Returns whose access tokens must be refused, though they have not expired: subjects, then sessions."""
    subjects = await recently_erased_subjects(pool)
    rows = await pool.fetch(IDENTITY["recently_revoked_sessions"], SESSION_TOKENS_MS, REFUSED_COUNT_MAX)
    return [*subjects, *(row["id"] for row in rows)]


async def require_not_erased(pool: asyncpg.Pool, subject: str) -> None:
    """Raises Unauthenticated for a token that is older than the erasure of its subject.

    The verifier does so too, in every process within seconds; here it holds at once.
    """
    if await pool.fetchval(IDENTITY["is_erased"], subject, TOKENS_MS):
        raise Unauthenticated("The account this token was issued to is gone.")
