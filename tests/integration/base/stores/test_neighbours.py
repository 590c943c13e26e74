"""A start and `pintuan doctor` beside another marketplace on the same Redis."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest

from groups.history import follow_history
from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.base.stores.neighbours import require_own_redis
from pintuan.running.diagnosis import diagnose
from tests.interleaving import lane_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.databases import Databases

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def telling(url: str, redis_url: str) -> AsyncIterator[None]:
    """A marketplace whose workers look again and again, for the life of the block."""
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool, lane_store(redis_url) as store:
        ended = asyncio.Event()

        async def look() -> None:
            # A cancellation can get lost in a call to Redis, and nothing else would end this.
            while not ended.is_set():
                await follow_history(pool, store)

        await follow_history(pool, store)
        looking = asyncio.create_task(look())
        try:
            yield
        finally:
            ended.set()
            await looking


async def test_a_start_beside_another_marketplace_is_refused_with_the_remedy(
    database_url: str, databases: Databases, redis_url: str
) -> None:
    settings = Settings(database_url=database_url, redis_url=redis_url)
    assert await require_own_redis(settings) == []
    async with databases.lent() as other_url, telling(other_url, redis_url):
        with pytest.raises(SettingsError, match="another database number") as refused:
            await require_own_redis(settings)
    assert refused.value.variable == "PINTUAN_REDIS_URL"


async def test_a_marketplace_that_was_there_first_starts_again_and_is_warned(
    database_url: str, databases: Databases, redis_url: str
) -> None:
    settings = Settings(database_url=database_url, redis_url=redis_url)
    async with (
        databases.lent() as other_url,
        telling(database_url, redis_url),
        telling(other_url, redis_url),
    ):
        [line] = await require_own_redis(settings)
    assert line.startswith("PINTUAN_REDIS_URL: another marketplace uses this Redis")


async def test_the_doctor_tells_of_the_other_marketplace(
    database_url: str, databases: Databases, redis_url: str
) -> None:
    settings = Settings(database_url=database_url, redis_url=redis_url)
    async with databases.lent() as other_url, telling(other_url, redis_url):
        found = {finding.subject: finding for finding in await diagnose(settings)}
    assert found["redis neighbours"].status == "FAIL"
    assert "another database number" in (found["redis neighbours"].remedy or "")
    assert "redis neighbours" not in {finding.subject for finding in await diagnose(settings)}
