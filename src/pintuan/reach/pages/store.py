"""Browsers' sessions in Postgres, one typed function per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.base.auth import Principal
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from pintuan.people.identity.sessions import RefreshToken

BROWSER_SESSIONS = load_queries(__package__, "browser_sessions")


async def account_of_session(pool: asyncpg.Pool, token: RefreshToken) -> Principal | None:
    """Returns who is signed in by a session's token, with the role they have now, or None."""
    row = await pool.fetchrow(
        BROWSER_SESSIONS["account_of_browser_session"], token.family, token.secret_digest
    )
    return None if row is None else Principal(row["id"], row["role"])
