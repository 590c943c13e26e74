"""Who was erased: an access token outlives its account for some minutes, and must not be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.base.auth.verifier import REFUSED_HERE_S
from pintuan.base.errors import Unauthenticated
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

IDENTITY: Final = load_queries(__package__)


# No access token that was issued before an erasure is alive this long after it.
TOKENS_MS: Final = round(REFUSED_HERE_S * 1000)


async def recently_erased_subjects(pool: asyncpg.Pool) -> list[str]:
    """Returns the subjects whose access tokens must be refused, though they have not expired."""
    rows = await pool.fetch(IDENTITY["recently_erased_subjects"], TOKENS_MS)
    return [row["subject"] for row in rows]


async def require_not_erased(pool: asyncpg.Pool, subject: str) -> None:
    """Raises Unauthenticated for a token that is older than the erasure of its subject.

    The verifier does so too, in every process within seconds; here it holds at once.
    """
    if await pool.fetchval(IDENTITY["is_erased"], subject, TOKENS_MS):
        raise Unauthenticated("The account this token was issued to is gone.")
