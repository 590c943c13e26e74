"""Fixtures for the group engine on real stores.

market      makes deals and reads what became of them
engine      one process' engine, with rate limits off
another_engine
            a second process' engine, with a pool, queues and beliefs of its own
redis       a client, to read what the engine keeps there and to falsify it
sound       raises when the audit finds anything wrong with the stores
"""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine, open_engine
from pintuan.audit.service import audit
from tests.interleaving import lane_store, processes
from tests.market import Market

Sound = Callable[[], Awaitable[None]]

# These tests do the payments' part by hand, without the sandbox' books.
NOT_KEPT_HERE = {"sandbox_books_agree"}


@pytest.fixture
def market(pool: asyncpg.Pool) -> Market:
    return Market(pool)


@pytest.fixture
async def engine(pool: asyncpg.Pool, redis_url: str) -> AsyncIterator[GroupEngine]:
    async with open_engine(pool, redis_url, rates=None) as engine:
        yield engine


@pytest.fixture
async def another_engine(database_url: str, redis_url: str) -> AsyncIterator[GroupEngine]:
    async with processes(database_url, redis_url, 1) as (engine,):
        yield engine


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, socket_timeout=5.0) as client:
        yield client


@pytest.fixture
def sound(pool: asyncpg.Pool, redis_url: str) -> Sound:
    return lambda: check_sound(pool, redis_url)


async def check_sound(pool: asyncpg.Pool, redis_url: str) -> None:
    """Raises AssertionError with what the audit finds wrong."""
    async with lane_store(redis_url) as store:
        report = await audit(pool, store, on_check=lambda _: None, second_look_s=0)
    broken = [check for check in report.checks if check.offenders and check.name not in NOT_KEPT_HERE]
    assert not broken, broken
