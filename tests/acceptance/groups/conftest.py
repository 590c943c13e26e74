"""What stands in for workers: the engine whose methods their jobs call."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from groups.engine import GroupEngine, open_engine


@pytest.fixture
async def engine(pool: asyncpg.Pool, redis_url: str) -> AsyncIterator[GroupEngine]:
    """An engine on the stores of the API, as a worker process has one."""
    async with open_engine(pool, redis_url, rates=None) as engine:
        yield engine
