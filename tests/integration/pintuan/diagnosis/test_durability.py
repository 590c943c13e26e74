"""A marketplace does not start on servers that could forget an acknowledged join."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pintuan.durability import check_durability
from pintuan.embedded import EmbeddedPostgres, EmbeddedRedis
from pintuan.settings import Settings, SettingsError

if TYPE_CHECKING:
    from ....conftest import PostgresFixture

pytestmark = pytest.mark.anyio


async def test_the_embedded_servers_are_durable(
    own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis
) -> None:
    await check_durability(Settings(database_url=own_postgres.url, redis_url=own_redis.url))


async def test_a_postgres_that_does_not_wait_for_the_disk_is_refused(
    postgres: "PostgresFixture", redis_url: str
) -> None:
    with pytest.raises(
        SettingsError, match="PINTUAN_DATABASE_URL: this Postgres has fsync off; set fsync = on"
    ):
        await check_durability(Settings(database_url=postgres.server.url, redis_url=redis_url))


async def test_a_redis_that_keeps_no_file_is_refused(
    own_postgres: EmbeddedPostgres, own_directory: Path
) -> None:
    server = EmbeddedRedis(own_directory / "forgetful", appendonly=False)
    server.prepare()
    await server.start()
    await server.wait_ready()
    with pytest.raises(SettingsError, match="PINTUAN_REDIS_URL: this Redis has appendonly off"):
        await check_durability(Settings(database_url=own_postgres.url, redis_url=server.url))
    await server.stop()


async def test_a_server_that_is_not_there_is_named_by_its_variable(
    own_postgres: EmbeddedPostgres, own_directory: Path
) -> None:
    nowhere = own_directory / "nowhere"
    with pytest.raises(SettingsError, match="PINTUAN_DATABASE_URL: cannot reach Postgres"):
        await check_durability(
            Settings(
                database_url=f"postgresql://postgres@/pintuan?host={nowhere}", redis_url=f"unix://{nowhere}"
            )
        )
    with pytest.raises(SettingsError, match="PINTUAN_REDIS_URL: cannot reach Redis"):
        await check_durability(Settings(database_url=own_postgres.url, redis_url=f"unix://{nowhere}"))
