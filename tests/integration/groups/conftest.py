"""Fixtures for the group engine on real stores.

market      makes deals and reads what became of them
engine      one process' engine, with rate limits off
engines     makes further engines, as further processes would have them
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import asyncpg
import pytest

from groups.engine import GroupEngine, open_engine
from tests.market import Market

MakeEngine = Callable[..., object]


@pytest.fixture
def market(pool: asyncpg.Pool) -> Market:
    return Market(pool)


@pytest.fixture
async def engine(pool: asyncpg.Pool, redis_url: str) -> AsyncIterator[GroupEngine]:
    async with open_engine(pool, redis_url, rates=None) as engine:
        yield engine


@pytest.fixture
async def another_engine(database_url: str, redis_url: str) -> AsyncIterator[GroupEngine]:
    """A second process' engine: its own pool, its own queues, its own idea of every epoch."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            asyncpg.create_pool(database_url, min_size=1, max_size=5, command_timeout=10.0)
        )
        yield await stack.enter_async_context(open_engine(pool, redis_url, rates=None))
