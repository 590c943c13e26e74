"""Postgres comes back from a backup while Redis remembers what was sold since."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from groups.engine import GroupEngine, open_engine
from groups.history import follow_history
from pintuan.embedded import EmbeddedPostgres
from sql import migrate
from tests.auditing import audited
from tests.interleaving import lane_store
from tests.market import Market

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def selling(
    postgres: EmbeddedPostgres, redis_url: str
) -> AsyncIterator[tuple[asyncpg.Pool, GroupEngine, Market]]:
    """One process of a marketplace, from its start to its end."""
    async with (
        asyncpg.create_pool(postgres.url, min_size=1, max_size=5, command_timeout=10) as pool,
        open_engine(pool, redis_url, rates=None) as engine,
    ):
        yield pool, engine, Market(pool)


async def restart(postgres: EmbeddedPostgres) -> None:
    await postgres.start()
    await postgres.wait_ready()


async def copy(source: Path, target: Path) -> None:
    """Copies a stopped server's directory; it may belong to another user, and so must the copy."""
    process = await asyncio.create_subprocess_exec("cp", "--archive", source, target)
    assert await process.wait() == 0


async def test_a_redis_that_remembers_a_later_state_is_told_to_forget_it(
    own_postgres: EmbeddedPostgres, redis_url: str
) -> None:
    await migrate(own_postgres.url)
    backup = own_postgres.directory.with_name("backup")
    async with selling(own_postgres, redis_url) as (_, engine, market):
        deal = await market.deal()
        ann, ben = market.wish("ann", deal=deal), market.wish("ben", deal=deal)
        ann_order = await engine.place(ann)
        await engine.reconcile_orphans()
    await own_postgres.stop()
    await copy(own_postgres.directory, backup)

    await restart(own_postgres)
    async with selling(own_postgres, redis_url) as (_, engine, _):
        lost = await engine.place(ben)
        await engine.reconcile_orphans()
    await own_postgres.stop()
    shutil.rmtree(own_postgres.directory)
    await copy(backup, own_postgres.directory)
    await restart(own_postgres)

    async with selling(own_postgres, redis_url) as (pool, engine, market):
        assert not (await audited(pool, redis_url)).ok, "Redis is believed and remembers a seat too many"
        await engine.reconcile_orphans()
        assert (await audited(pool, redis_url)).ok
        again = await engine.place(ben)
        assert again.order_id != lost.order_id
        assert not again.replayed
        assert (await engine.place(ann)).order_id == ann_order.order_id
        assert [order["seat"] for order in await market.orders(deal_id=deal)] == [1, 2]


async def test_a_postgres_that_crashed_has_not_gone_back(
    own_postgres: EmbeddedPostgres, redis_url: str
) -> None:
    await migrate(own_postgres.url)
    async with selling(own_postgres, redis_url) as (pool, engine, market), lane_store(redis_url) as store:
        deal = await market.deal()
        await engine.place(market.wish("ann", deal=deal))
        assert not await follow_history(pool, store)
        assert not await follow_history(pool, store)
        await own_postgres.kill()
    await restart(own_postgres)
    async with selling(own_postgres, redis_url) as (pool, _, _), lane_store(redis_url) as store:
        assert not await follow_history(pool, store)


async def test_tables_that_were_made_anew_are_another_history(pool: asyncpg.Pool, redis_url: str) -> None:
    async with lane_store(redis_url) as store:
        await follow_history(pool, store)
        await pool.execute("TRUNCATE lanes CASCADE")
        assert await follow_history(pool, store)
        assert not await follow_history(pool, store)
