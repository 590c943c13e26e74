"""The embedded servers: they keep what was written, and say clearly why they cannot run."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from pintuan.base.stores.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedRedis

pytestmark = pytest.mark.anyio

PARENT = """
import asyncio, sys
from pathlib import Path
from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis

async def main(directory):
    for server in (EmbeddedPostgres(directory / "postgres"), EmbeddedRedis(directory / "redis")):
        server.prepare()
        await server.start()
        await server.wait_ready()
        print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_each_test_has_a_migrated_database_of_its_own(pool: asyncpg.Pool) -> None:
    assert await pool.fetchval("SELECT count(*) FROM schema_migrations") > 0


async def test_redis_is_empty_at_the_start_of_a_test(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("left", "behind")


async def test_redis_is_empty_again_in_the_next_test(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0


async def test_postgres_has_every_committed_row_after_kill_9(own_postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(own_postgres.url)
    await connection.execute("CREATE TABLE kept (n integer)")
    await connection.execute("INSERT INTO kept VALUES (7)")
    await own_postgres.kill()
    connection.terminate()
    assert own_postgres.returncode == -signal.SIGKILL

    await own_postgres.start()
    await own_postgres.wait_ready()

    connection = await asyncpg.connect(own_postgres.url)
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.close()


async def test_redis_has_its_keys_after_an_orderly_stop(own_redis: EmbeddedRedis) -> None:
    async with Redis.from_url(own_redis.url) as client:
        await client.set("kept", "7")
    await own_redis.stop()
    assert own_redis.returncode == 0

    await own_redis.start()
    await own_redis.wait_ready()

    async with Redis.from_url(own_redis.url) as client:
        assert await client.get("kept") == b"7"


async def test_redis_comes_back_after_kill_9(own_redis: EmbeddedRedis) -> None:
    await own_redis.kill()
    await own_redis.start()
    await own_redis.wait_ready()
    async with Redis.from_url(own_redis.url) as client:
        assert await client.ping()


async def test_a_stale_process_id_that_now_is_somebody_elses_does_not_stop_postgres(
    own_postgres: EmbeddedPostgres,
) -> None:
    await own_postgres.kill()
    stale = own_postgres.directory / "postmaster.pid"
    first, rest = stale.read_text().split("\n", 1)
    assert first == str(own_postgres.pid)
    stale.write_text(f"{os.getpid()}\n{rest}")

    await own_postgres.start()
    await own_postgres.wait_ready()

    assert own_postgres.returncode is None


async def test_servers_end_with_a_parent_that_is_killed_and_a_successor_finds_the_data(
    own_directory: Path,
) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(own_directory), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    for _ in range(2):
        assert await parent.stdout.readline()
    parent.kill()
    await parent.wait()

    for server in (EmbeddedPostgres(own_directory / "postgres"), EmbeddedRedis(own_directory / "redis")):
        server.prepare()
        await server.start()
        await server.wait_ready()
        await server.stop()
        assert server.returncode == 0


async def test_a_path_too_long_for_a_socket_is_no_obstacle(own_directory: Path) -> None:
    deep = own_directory / ("a" * 60) / ("b c%?" * 12)
    for server in (EmbeddedPostgres(deep / "postgres"), EmbeddedRedis(deep / "redis")):
        server.prepare()
        await server.start()
        await server.wait_ready()
        assert "%" not in server.url
        await server.stop()


async def test_a_directory_with_other_files_is_not_taken_for_a_database(own_directory: Path) -> None:
    (own_directory / "postgres").mkdir()
    (own_directory / "postgres" / "holiday.jpg").touch()
    with pytest.raises(EmbeddedError, match="holds no Postgres data"):
        EmbeddedPostgres(own_directory / "postgres").prepare()


async def test_data_of_another_postgres_version_is_refused_by_name(own_postgres: EmbeddedPostgres) -> None:
    await own_postgres.stop()
    (own_postgres.directory / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="is of Postgres 9"):
        own_postgres.prepare()


async def test_a_directory_that_is_a_file_is_refused_in_one_line(own_directory: Path) -> None:
    (own_directory / "file").touch()
    for server in (EmbeddedPostgres(own_directory / "file/x"), EmbeddedRedis(own_directory / "file/x")):
        with pytest.raises(EmbeddedError, match=r"cannot use .*: Not a directory"):
            server.prepare()


async def test_a_server_that_ends_at_once_says_why(own_redis: EmbeddedRedis) -> None:
    await own_redis.stop()
    config = own_redis.directory / "redis.conf"
    config.write_text(config.read_text() + "no-such-option yes\n")
    await own_redis.start()
    with pytest.raises(EmbeddedError, match=r"ended at once: .*Bad directive"):
        await own_redis.wait_ready()


async def test_postgres_that_ends_at_once_says_why(own_directory: Path) -> None:
    server = EmbeddedPostgres(own_directory / "postgres", settings={"shared_buffers": "minus one"})
    server.prepare()
    await server.start()
    with pytest.raises(EmbeddedError, match=r"ended at once: .*shared_buffers"):
        await server.wait_ready()
