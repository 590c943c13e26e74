"""Where a command finds its Postgres and Redis."""

import asyncio
import os
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.base.stores.embedded import EmbeddedError
from pintuan.base.stores.embedded.data_directory import DataDirectory, RunningMarketplace
from pintuan.base.stores.running import running_services

pytestmark = pytest.mark.anyio

DATABASE_URL = "postgresql://postgres@/pintuan?host=elsewhere"
REDIS_URL = "unix:///elsewhere/redis.sock?db=0"


def marketplace(pid: int) -> RunningMarketplace:
    return RunningMarketplace(
        pid=pid, database_url=DATABASE_URL, redis_url=REDIS_URL, http_url="http://127.0.0.1:8123"
    )


async def test_urls_that_are_set_win_and_nothing_is_started(own_directory: Path) -> None:
    settings = Settings(data_dir=own_directory / "data", database_url=DATABASE_URL, redis_url=REDIS_URL)
    async with running_services(settings) as running:
        assert running is settings
    assert not (own_directory / "data").exists()


async def test_embedded_servers_run_for_the_block_and_keep_their_data(own_directory: Path) -> None:
    settings = Settings(data_dir=own_directory)
    async with running_services(settings) as running:
        assert running.database_url is not None
        assert running.redis_url is not None
        connection = await asyncpg.connect(running.database_url)
        await connection.execute("CREATE TABLE kept ()")
        await connection.close()
        async with Redis.from_url(running.redis_url) as client:
            assert await client.ping()
    with pytest.raises(OSError, match=r"refused|No such file"):
        await asyncpg.connect(running.database_url)

    async with running_services(settings) as running:
        connection = await asyncpg.connect(running.database_url)
        assert await connection.fetchval("SELECT to_regclass('kept') IS NOT NULL")
        await connection.close()


async def test_only_the_missing_server_is_started(own_directory: Path) -> None:
    settings = Settings(data_dir=own_directory, database_url=DATABASE_URL)
    async with running_services(settings) as running:
        assert running.database_url == DATABASE_URL
        assert str(running.redis_url).startswith(f"unix://{own_directory}")
    assert not (own_directory / "postgres").exists()


async def test_a_running_marketplace_is_attached_to(own_directory: Path) -> None:
    directory = DataDirectory(own_directory)
    with directory.locked():
        directory.publish(marketplace(os.getpid()))
        async with running_services(Settings(data_dir=own_directory)) as running:
            assert (running.database_url, running.redis_url) == (DATABASE_URL, REDIS_URL)
            assert running.http_port == 8123


async def test_what_a_crash_left_behind_is_not_attached_to(own_directory: Path) -> None:
    directory = DataDirectory(own_directory)
    directory.publish(marketplace(os.getpid()))
    assert directory.running() is None

    with directory.locked():
        directory.publish(marketplace(os.getpid() + 1))
        assert directory.running() is None


async def test_a_directory_in_use_is_refused_naming_the_process(own_directory: Path) -> None:
    with (
        DataDirectory(own_directory).locked(),
        pytest.raises(SettingsError, match=rf"PINTUAN_DATA_DIR: .* is in use by process {os.getpid()};"),
    ):
        async with running_services(Settings(data_dir=own_directory)):
            pass


async def test_two_that_start_at_once_do_not_share_the_directory(own_directory: Path) -> None:
    started = asyncio.Event()

    async def first() -> None:
        async with running_services(Settings(data_dir=own_directory)):
            started.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(first())
        await asyncio.sleep(0)
        with pytest.raises(SettingsError, match="is in use by"):
            async with running_services(Settings(data_dir=own_directory)):
                pass
    assert started.is_set()


def test_a_data_directory_that_cannot_be_made_is_refused_in_one_line(own_directory: Path) -> None:
    (own_directory / "file").touch()
    with (
        pytest.raises(EmbeddedError, match=r"cannot use the data directory .*: Not a directory"),
        DataDirectory(own_directory / "file/data").locked(),
    ):
        pass
