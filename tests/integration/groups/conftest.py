"""Fixtures for the group engine on real stores.

another_engine
            a second process' engine, with a pool, queues and beliefs of its own
redis       a client, to read what the engine keeps there and to falsify it
store       script calls without an engine around them
mover       what moves units between lanes, in a process of its own
sound       raises when the audit finds anything wrong with the stores
"""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine
from groups.lane_store import LaneStore
from groups.stock import StockMover
from tests.auditing import audited
from tests.interleaving import lane_store, processes

Sound = Callable[[], Awaitable[None]]

# These tests do the payments' part by hand, without the sandbox' books.
NOT_KEPT_HERE = {"sandbox_books_agree"}


@pytest.fixture
async def another_engine(database_url: str, redis_url: str) -> AsyncIterator[GroupEngine]:
    async with processes(database_url, redis_url, 1) as (engine,):
        yield engine


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, socket_timeout=5.0) as client:
        yield client


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[LaneStore]:
    async with lane_store(redis_url) as store:
        yield store


@pytest.fixture
def mover(pool: asyncpg.Pool, store: LaneStore) -> StockMover:
    return StockMover(pool, store)


@pytest.fixture
def sound(pool: asyncpg.Pool, redis_url: str) -> Sound:
    return lambda: check_sound(pool, redis_url)


async def check_sound(pool: asyncpg.Pool, redis_url: str) -> None:
    """Raises AssertionError with what the audit finds wrong."""
    report = await audited(pool, redis_url)
    broken = [check for check in report.checks if check.offenders and check.name not in NOT_KEPT_HERE]
    assert not broken, broken
