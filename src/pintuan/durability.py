"""What durability rests on: settings of Postgres and Redis without which a join may not be acknowledged."""

from collections.abc import Mapping

import asyncpg
from redis.asyncio import RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from pintuan.redis_connection import open_redis
from pintuan.settings import Settings, SettingsError
from sql import load_queries

SERVERS = load_queries("servers")

CALL_TIMEOUT_S = 5.0
POSTGRES_REQUIRED = {
    "fsync": "set fsync = on in postgresql.conf and restart Postgres",
    "synchronous_commit": "set synchronous_commit = on in postgresql.conf, or for our role, and reload",
    "full_page_writes": "set full_page_writes = on in postgresql.conf and reload",
}
"""The settings of Postgres that must not be off, and how to mend each."""
REDIS_REMEDY = "run CONFIG SET appendonly yes, and put it into redis.conf"


async def postgres_settings(database_url: str) -> dict[str, str]:
    """Values of the settings in `POSTGRES_REQUIRED`, `server_version` and `max_connections`.

    Raises SettingsError when Postgres cannot be reached.
    """
    try:
        connection = await asyncpg.connect(
            database_url, timeout=CALL_TIMEOUT_S, command_timeout=CALL_TIMEOUT_S
        )
        try:
            rows = await connection.fetch(SERVERS["server_settings"])
        finally:
            await connection.close(timeout=CALL_TIMEOUT_S)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = f"cannot reach Postgres: {error or type(error).__name__}"
        raise SettingsError("PINTUAN_DATABASE_URL", reason) from error
    return {row["name"]: row["setting"] for row in rows}


async def redis_persistence(settings: Settings) -> list[dict[str, object]]:
    """INFO server and persistence of the Redis that places, one for each primary of a cluster.

    INFO, because hosted servers often refuse CONFIG. Raises SettingsError when Redis cannot be reached.
    """
    try:
        async with open_redis(settings) as client:
            if isinstance(client, RedisCluster):
                nodes = await client.info(target_nodes=RedisCluster.PRIMARIES)
                return list(nodes.values())
            return [dict(await client.info())]
    except (OSError, RedisError, RedisClusterException) as error:
        reason = f"cannot reach Redis: {error or type(error).__name__}"
        raise SettingsError("PINTUAN_REDIS_URL", reason) from error


async def check_durability(settings: Settings) -> None:
    """Raises SettingsError, with the remedy, when an acknowledged join could be lost by the servers set."""
    if settings.database_url is None:
        raise SettingsError("PINTUAN_DATABASE_URL", "not set")
    found = await postgres_settings(settings.database_url)
    for name, remedy in POSTGRES_REQUIRED.items():
        if found.get(name) == "off":
            raise SettingsError("PINTUAN_DATABASE_URL", f"this Postgres has {name} off; {remedy}")
    for info in await redis_persistence(settings):
        if not keeps_appendonly(info):
            raise SettingsError("PINTUAN_REDIS_URL", f"this Redis has appendonly off; {REDIS_REMEDY}")


def keeps_appendonly(info: Mapping[str, object]) -> bool:
    """Whether a Redis with this INFO writes an append-only file."""
    return str(info.get("aof_enabled")) == "1"
