"""What the audit says of a test's stores."""

from __future__ import annotations

import asyncpg

from pintuan.running.audit.service import Report, audit
from tests.interleaving import lane_store


async def audited(pool: asyncpg.Pool, redis_url: str) -> Report:
    """The report of one look: nothing else goes on, so that a second one would find the same."""
    async with lane_store(redis_url) as store:
        return await audit(pool, store, on_check=lambda _: None, second_look_s=0)
