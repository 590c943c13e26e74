"""Real worker processes over real stores do what is due, end when asked, and may be killed at any time."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg
import msgspec
import pytest

from pintuan.base.settings.settings import Settings
from pintuan.base.stores.doorbells import open_doorbells
from pintuan.base.stores.embedded import EmbeddedRedis
from tests.rows import Rows
from tests.waiting import WAIT_S_MAX, until

pytestmark = pytest.mark.anyio

DOORBELLS = ["payments"]


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, data_dir=tmp_path)


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process, killed at the end if it still runs."""
    environ = os.environ | {
        "PINTUAN_DATABASE_URL": settings.database_url or "",
        "PINTUAN_REDIS_URL": settings.redis_url or "",
        "PINTUAN_DATA_DIR": str(settings.data_dir),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "workers", env=environ)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def all_captured(rows: Rows) -> bool:
    return not await rows.pool.fetchval("SELECT count(*) FROM orders WHERE status <> 'captured'")


async def test_what_was_due_before_the_start_is_done_without_a_ring(
    pool: asyncpg.Pool, settings: Settings
) -> None:
    rows = await Rows.open(pool)
    for _ in range(5):
        await rows.order()

    async with worker(settings):
        await until(lambda: all_captured(rows))


async def test_a_group_at_its_deadline_settles_and_its_members_are_charged(
    pool: asyncpg.Pool, settings: Settings
) -> None:
    rows = await Rows.open(pool)
    group = await rows.group(capacity=5)
    for _ in range(3):
        await rows.order(group=group)

    async with worker(settings), open_doorbells(settings, DOORBELLS) as doorbells:
        doorbells.ring("payments")
        await until(lambda: _headcount_is(pool, group, 3))
        await pool.execute(
            "UPDATE groups SET opened_at = opened_at - interval '1 day', deadline = app_now() WHERE id = $1",
            group,
        )
        await pool.execute("UPDATE group_progress SET check_at = app_now() WHERE group_id = $1", group)
        await until(lambda: _has_ended(pool, group))

    assert await all_captured(rows)


async def test_workers_killed_again_and_again_move_each_orders_money_once(
    pool: asyncpg.Pool, settings: Settings
) -> None:
    rows = await Rows.open(pool)
    orders = [await rows.order(method=("pm_ok", "pm_timeout")[number % 2]) for number in range(40)]

    for progress in (0, 10, 20):
        async with worker(settings) as process:
            await until(partial(_more_calls_than, pool, progress))
            process.kill()
        await rows.make_due()
    async with worker(settings):
        await until(lambda: all_captured(rows))

    books = await rows.one(
        "SELECT count(*) AS payments, sum(captured_minor) AS captured FROM sandbox_gateway.authorisations"
    )
    assert (books["payments"], books["captured"]) == (len(orders), 900 * len(orders))


async def test_a_stop_signal_lets_a_payment_finish_and_ends_without_an_error(
    pool: asyncpg.Pool, settings: Settings
) -> None:
    rows = await Rows.open(pool)
    order = await rows.order(group=await rows.group(), method="pm_slow")

    async with worker(settings) as process:
        await until(lambda: _is_in_flight(rows, order))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), WAIT_S_MAX) == 0

    assert await rows.status(order) == "authorised"


async def test_a_worker_that_lost_every_redis_goes_on_paying_and_ends_when_asked(
    pool: asyncpg.Pool, settings: Settings, own_redis: EmbeddedRedis
) -> None:
    rows = await Rows.open(pool)
    await rows.order()
    settings = msgspec.structs.replace(settings, redis_url=own_redis.url)

    async with worker(settings) as process:
        await until(lambda: all_captured(rows))
        await own_redis.kill()
        await rows.order()
        await until(lambda: all_captured(rows))
        await own_redis.start()
        await own_redis.wait_ready()
        await rows.order()
        await until(lambda: all_captured(rows))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), WAIT_S_MAX) == 0


async def test_a_worker_without_a_store_ends_with_one_line(tmp_path: Path) -> None:
    environ = os.environ | {
        "PINTUAN_DATA_DIR": str(tmp_path),
        "PINTUAN_DATABASE_URL": "",
        "PINTUAN_REDIS_URL": "",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "workers", env=environ, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(process.communicate(), WAIT_S_MAX)

    assert process.returncode == 1
    assert errors.decode().startswith("pintuan: PINTUAN_DATABASE_URL: not set")
    assert errors.decode().count("\n") == 1


async def _headcount_is(pool: asyncpg.Pool, group: str, count: int) -> bool:
    found: int = await pool.fetchval("SELECT headcount FROM group_progress WHERE group_id = $1", group)
    return found == count


async def _has_ended(pool: asyncpg.Pool, group: str) -> bool:
    status: str = await pool.fetchval("SELECT status FROM groups WHERE id = $1", group)
    return status in ("succeeded", "failed")


async def _more_calls_than(pool: asyncpg.Pool, count: int) -> bool:
    found: int = await pool.fetchval("SELECT count(*) FROM sandbox_gateway.calls")
    return found > count


async def _is_in_flight(rows: Rows, order: str) -> bool:
    return (await rows.operations(order))["authorise"] == "in_flight"
