"""A marketplace does not start on servers that could forget an acknowledged join."""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.base.stores.doorbells import check_queue
from pintuan.base.stores.durability import check_durability
from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from pintuan.base.stores.redis import open_redis, ping
from pintuan.running.diagnosis import diagnose
from tests.redis_cluster import HOST, Cluster

if TYPE_CHECKING:
    from tests.conftest import PostgresFixture

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


async def test_a_redis_that_evicts_is_refused_and_doctor_says_the_same(
    own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis
) -> None:
    settings = Settings(database_url=own_postgres.url, redis_url=own_redis.url)
    async with Redis.from_url(own_redis.url) as client:
        await client.config_set("maxmemory-policy", "allkeys-lru")
    reason = (
        "PINTUAN_REDIS_URL: this Redis has maxmemory-policy allkeys-lru and would lose groups; run CONFIG SET"
    )
    with pytest.raises(SettingsError, match=reason):
        await check_durability(settings)
    found = {finding.subject: finding for finding in await diagnose(settings)}
    assert found["redis maxmemory-policy"].status == "FAIL"


@pytest.mark.slow
async def test_a_standby_is_refused_and_doctor_says_the_same(
    own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis
) -> None:
    await own_postgres.stop()
    subprocess.run(  # noqa: S603, ASYNC221 - it takes no time.
        [
            "/bin/sh",
            "-c",
            'touch "$0/standby.signal" && chown --reference="$0" "$0/standby.signal"',
            own_postgres.directory,
        ],
        check=True,
    )
    await own_postgres.start()
    await own_postgres.wait_ready()
    settings = Settings(database_url=own_postgres.url, redis_url=own_redis.url)
    with pytest.raises(
        SettingsError, match="PINTUAN_DATABASE_URL: this Postgres is a standby; name the primary"
    ):
        await check_durability(settings)
    found = {finding.subject: finding for finding in await diagnose(settings)}
    assert found["postgres role"].status == "FAIL"


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


@pytest.mark.slow
async def test_a_cluster_is_looked_at_server_by_server(
    own_postgres: EmbeddedPostgres, own_cluster: Cluster, redis_url: str
) -> None:
    def settings(redis_url: str, queue: str) -> Settings:
        return Settings(database_url=own_postgres.url, redis_url=redis_url, queue_redis_url=queue)

    cluster = settings(own_cluster.url, redis_url)
    member = f"redis://{HOST}:{own_cluster.primaries[1].port}"
    with pytest.raises(SettingsError, match=r"PINTUAN_REDIS_URL: this Redis is one of a cluster; name it as"):
        await check_durability(settings(member, redis_url))
    with pytest.raises(SettingsError, match="PINTUAN_QUEUE_REDIS_URL: this Redis is one of a cluster"):
        await check_queue(settings(redis_url, member))
    await check_durability(cluster)
    names = {f"redis {HOST}:{server.port}" for server in own_cluster.primaries}
    found = {finding.subject: finding.status for finding in await diagnose(cluster)}
    assert {found[f"{name}{about}"] for name in names for about in ("", " appendonly")} == {"ok"}
    assert sorted(found[f"{name} replicas"] for name in names) == ["ok", "warn", "warn"]

    # One that is away holds up its own lanes, and is no reason not to start.
    await own_cluster.primaries[2].kill()
    await check_durability(cluster)
    found = {finding.subject: finding.status for finding in await diagnose(cluster)}
    assert sorted(found[name] for name in names) == ["FAIL", "ok", "ok"]
    async with open_redis(cluster) as client:
        await ping(client)

    await own_cluster.primaries[1].call("CONFIG", "SET", "appendonly", "no")
    with pytest.raises(
        SettingsError, match=f"PINTUAN_REDIS_URL: redis {HOST}:{own_cluster.primaries[1].port} has"
    ):
        await check_durability(cluster)

    for server in own_cluster.servers:
        await server.stop()
    with pytest.raises(SettingsError, match="PINTUAN_REDIS_URL: cannot reach Redis"):
        await check_durability(cluster)
    async with open_redis(cluster) as client:
        with pytest.raises(RedisError):
            await ping(client)


@pytest.mark.slow
async def test_a_cluster_is_ready_while_any_of_its_servers_is(own_cluster: Cluster) -> None:
    async with open_redis(Settings(redis_url=own_cluster.url)) as client:
        await ping(client)
        for server in own_cluster.servers:
            await server.kill()
        with pytest.raises(RedisError):
            await ping(client)
        for server in own_cluster.servers:
            await server.start()
        for server in own_cluster.servers:
            await server.wait_ready()
        await ping(client)
