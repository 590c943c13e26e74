"""Postgres comes back from a backup while Redis remembers what was sold since."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from redis.asyncio import Redis

from groups import history
from groups.engine import GroupEngine, open_engine
from groups.history import follow_history
from groups.keys import Lane, LaneKeys
from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from sql import migrate
from tests.auditing import audited
from tests.files import copy_files
from tests.interleaving import lane_store
from tests.market import Market

pytestmark = pytest.mark.anyio

LIT = 5
BALLAST_BYTES = 4 * 1024 * 1024


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


async def position(pool: asyncpg.Pool) -> asyncpg.Record:
    [found] = await pool.fetch(history.HISTORIES["postgres_position"])
    return found


async def age_beacons(pool: asyncpg.Pool) -> None:
    """Makes every beacon as old as if nobody had looked for a while."""
    await pool.execute("UPDATE history_beacons SET written_at = written_at - interval '10 seconds'")


async def evict_something(client: Redis) -> None:
    """Makes a Redis evict a key of ours, which dies first and is large enough to be the only one."""
    await client.set("ballast", b"x" * BALLAST_BYTES, ex=60)
    used = (await client.info("memory"))["used_memory"]
    # Redis looks for the key that dies first among a few; among all of them, with as many as this.
    await client.config_set("maxmemory-samples", 64)
    await client.config_set("maxmemory-policy", "volatile-ttl")
    await client.config_set("maxmemory", used - BALLAST_BYTES // 4)
    await client.set("any", 1)
    await client.config_set("maxmemory", 0)
    assert (await client.info("stats"))["evicted_keys"] == 1
    assert not await client.exists("ballast")


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
    await copy_files(own_postgres.directory, backup)

    await restart(own_postgres)
    async with selling(own_postgres, redis_url) as (pool, engine, _):
        lost = await engine.place(ben)
        # Reading writes to the log, too, so that its position alone would tell by chance.
        await age_beacons(pool)
        await engine.reconcile_orphans()
    await own_postgres.stop()
    shutil.rmtree(own_postgres.directory)
    await copy_files(backup, own_postgres.directory)
    await restart(own_postgres)

    async with selling(own_postgres, redis_url) as (pool, engine, market):
        assert not (await audited(pool, redis_url)).ok, "Redis is believed and remembers a seat too many"
        await engine.reconcile_orphans()
        report = await audited(pool, redis_url)
        assert report.ok, [(c.name, c.offenders) for c in report.checks if c.offenders]
        again = await engine.place(ben)
        assert again.order_id != lost.order_id
        assert not again.replayed
        assert (await engine.place(ann)).order_id == ann_order.order_id
        assert [order["seat"] for order in await market.orders(deal_id=deal)] == [1, 2]


async def test_a_disk_that_was_put_back_is_noticed_even_once_its_log_has_moved_on(
    own_postgres: EmbeddedPostgres, redis_url: str
) -> None:
    await migrate(own_postgres.url)
    snapshot = own_postgres.directory.with_name("snapshot")
    async with selling(own_postgres, redis_url) as (_, engine, market):
        deal = await market.deal()
        await engine.place(market.wish("ann", deal=deal))
        await engine.reconcile_orphans()
    await own_postgres.stop()
    await copy_files(own_postgres.directory, snapshot)
    await restart(own_postgres)
    async with selling(own_postgres, redis_url) as (pool, engine, market):
        lost = market.wish("ben", deal=deal)
        await engine.place(lost)
        await age_beacons(pool)
        await engine.reconcile_orphans()
        before = await position(pool)
    await own_postgres.stop()
    shutil.rmtree(own_postgres.directory)
    await copy_files(snapshot, own_postgres.directory)
    await restart(own_postgres)

    async with selling(own_postgres, redis_url) as (pool, engine, market), lane_store(redis_url) as store:
        await pool.execute("CREATE TABLE vacuumed AS SELECT 1")
        await pool.execute("SELECT pg_switch_wal()")
        await pool.execute("DROP TABLE vacuumed")
        after = await position(pool)
        assert after["name"] == before["name"]
        assert after["position"] > before["position"], "neither gives the restored disk away"
        assert await follow_history(pool, store)
        assert not await follow_history(pool, store)
        assert not (await engine.place(lost)).replayed
        assert (await audited(pool, redis_url)).ok


async def test_rows_that_were_deleted_and_loaded_again_are_noticed(
    pool: asyncpg.Pool, redis_url: str
) -> None:
    async with lane_store(redis_url) as store:
        await follow_history(pool, store)
        kept = await pool.fetch("SELECT value FROM history_beacons")
        await age_beacons(pool)
        assert not await follow_history(pool, store)
        assert await pool.fetchval("SELECT count(*) FROM history_beacons") == len(kept) + 1
        await pool.execute("DELETE FROM history_beacons")
        await pool.executemany(
            "INSERT INTO history_beacons (value) VALUES ($1)", [(row["value"],) for row in kept]
        )
        assert await follow_history(pool, store)


async def test_processes_that_look_at_once_share_a_beacon_and_old_ones_are_forgotten(
    pool: asyncpg.Pool, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BEACONS_KEPT", 3)
    async with lane_store(redis_url) as store:
        for _ in range(LIT):
            assert not await follow_history(pool, store)
            assert not await follow_history(pool, store)
            await age_beacons(pool)
    numbers = await pool.fetchval("SELECT array_agg(number ORDER BY number) FROM history_beacons")
    assert [number - numbers[0] for number in numbers] == [0, 1, 2], (
        f"{LIT} were lit, and the last three are kept"
    )


async def test_a_redis_that_evicted_keys_is_not_believed(
    pool: asyncpg.Pool, own_redis: EmbeddedRedis
) -> None:
    url = own_redis.url
    async with open_engine(pool, url, rates=None) as engine, Redis.from_url(url) as client:
        market = Market(pool)
        deal = await market.deal()
        await engine.place(market.wish("ann", deal=deal))
        await engine.reconcile_orphans()
        await evict_something(client)
        # Which keys are taken is up to the policy; this is one that a lane seems whole without.
        await client.delete(LaneKeys.of(Lane(deal, 0)).groups)
        assert not (await audited(pool, url)).ok

        await engine.reconcile_orphans()
        assert len((await engine.joinable_groups(deal, after=None, count=5)).places) == 1
        assert (await audited(pool, url)).ok
        token = await client.hget(LaneKeys.of(Lane(deal, 0)).meta, "token")
        await engine.reconcile_orphans()
        assert await client.hget(LaneKeys.of(Lane(deal, 0)).meta, "token") == token, "it is rebuilt once"


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
