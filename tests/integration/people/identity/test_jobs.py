"""The job of identity forgets all that is over, however much it is."""

from __future__ import annotations

import asyncpg
import pytest

from pintuan.people.identity.jobs import Jobs

pytestmark = pytest.mark.anyio


async def test_what_is_old_is_forgotten(pool: asyncpg.Pool) -> None:
    await pool.execute(
        "INSERT INTO limit_windows"
        " SELECT 'test', sha256(n::text::bytea), '{}', app_now() - interval '1 second'"
        " FROM generate_series(1, 2500) AS n"
    )
    await Jobs(pool).tidy()
    assert await pool.fetchval("SELECT count(*) FROM limit_windows") == 0
