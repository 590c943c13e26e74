"""The settings durability depends on: how Postgres and Redis must be for a join to be acknowledged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from groups.cluster import connections_to
from groups.cluster_url import names_cluster
from groups.errors import Overloaded
from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.base.stores.pooler import HANDED_AROUND, POOLER_REMEDY, hands_sessions_around
from pintuan.base.stores.redis import placement_url
from sql import load_queries

SERVERS = load_queries(__package__, "servers")

CALL_TIMEOUT_S = 5.0
SINGLE_NAME: Final = "redis"
POSTGRES_REQUIRED = {
    "fsync": "set fsync = on in postgresql.conf and restart Postgres",
    "synchronous_commit": "set synchronous_commit = on in postgresql.conf, or for our role, and reload",
    "full_page_writes": "set full_page_writes = on in postgresql.conf and reload",
}
"""The settings of Postgres that must not be off, and how to mend each."""
STANDBY_REMEDY = "name the primary, or several servers with ?target_session_attrs=read-write"
APPENDONLY_REMEDY = "run CONFIG SET appendonly yes, and put it into redis.conf"
NO_EVICTION: Final = "noeviction"
EVICTION_REMEDY = "run CONFIG SET maxmemory-policy noeviction, and put it into redis.conf"


async def postgres_settings(database_url: str) -> dict[str, str]:
    """Values of the settings in `POSTGRES_REQUIRED`, of the version and of connections; and `in_recovery`.

    `handed_around` is on where a pooler gives one session to several clients in turn.

    Raises SettingsError when Postgres cannot be reached.
    """
    try:
        connection = await asyncpg.connect(
            database_url, timeout=CALL_TIMEOUT_S, command_timeout=CALL_TIMEOUT_S, statement_cache_size=0
        )
        try:
            # In a transaction, because a pooler may part a statement from its preparation.
            async with connection.transaction():
                rows = await connection.fetch(SERVERS["server_settings"])
        finally:
            await connection.close(timeout=CALL_TIMEOUT_S)
        handed_around = await hands_sessions_around(database_url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = f"cannot reach Postgres: {error or type(error).__name__}"
        raise SettingsError("PINTUAN_DATABASE_URL", reason) from error
    found = {row["name"]: row["setting"] for row in rows}
    return found | {"handed_around": "on" if handed_around else "off"}


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A Redis' report about itself; `info` is None if a server of a cluster does not answer."""

    name: str
    info: Mapping[str, str] | None

    @property
    def keeps_appendonly(self) -> bool:
        """Says whether it writes an append-only file."""
        return self.info is not None and self.info.get("aof_enabled") == "1"

    @property
    def eviction(self) -> str:
        """Its maxmemory-policy. A server that evicts takes groups out of lanes that go on without them."""
        return NO_EVICTION if self.info is None else self.info.get("maxmemory_policy", NO_EVICTION)


async def redis_servers(settings: Settings) -> list[RedisServer]:
    """The Redis that places, or every server of a cluster that holds slots.

    Raises SettingsError when none can be reached, or a cluster is named as if it were a single Redis.
    """
    url = placement_url(settings)
    connections = connections_to(url)
    servers: list[RedisServer] = []
    try:
        for home in await connections.homes():
            name = f"redis {home.host}:{home.port}" if names_cluster(url) else SINGLE_NAME
            try:
                async with connections.lend_at(home) as lent:
                    # INFO, because hosted servers often refuse CONFIG.
                    servers.append(RedisServer(name, _read_info(await lent.call("INFO"))))
            except Overloaded:
                if not names_cluster(url):
                    raise
                servers.append(RedisServer(name, None))
    except Overloaded as error:
        raise SettingsError("PINTUAN_REDIS_URL", f"cannot reach Redis: {error}") from error
    finally:
        await connections.close()
    if not names_cluster(url) and servers[0].info and servers[0].info.get("cluster_enabled") == "1":
        reason = "this Redis is one of a cluster; name it as redis+cluster://host:port"
        raise SettingsError("PINTUAN_REDIS_URL", reason)
    if all(server.info is None for server in servers):
        raise SettingsError("PINTUAN_REDIS_URL", "cannot reach Redis: no server of the cluster answers")
    return servers


def _read_info(answer: bytes) -> dict[str, str]:
    """Reads INFO's lines of name:value (redis.io, "INFO")."""
    pairs = (line.partition(":") for line in answer.decode().splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


async def check_durability(settings: Settings) -> Mapping[str, str]:
    """Returns `postgres_settings` of servers that lose no acknowledged join.

    Raises SettingsError, with the remedy, when those set could.
    """
    if settings.database_url is None:
        raise SettingsError("PINTUAN_DATABASE_URL", "not set")
    found = await postgres_settings(settings.database_url)
    if found["handed_around"] == "on":
        raise SettingsError("PINTUAN_DATABASE_URL", f"{HANDED_AROUND}; {POOLER_REMEDY}")
    if found["in_recovery"] == "on":
        raise SettingsError("PINTUAN_DATABASE_URL", f"this Postgres is a standby; {STANDBY_REMEDY}")
    for name, remedy in POSTGRES_REQUIRED.items():
        if found.get(name) == "off":
            raise SettingsError("PINTUAN_DATABASE_URL", f"this Postgres has {name} off; {remedy}")
    for server in await redis_servers(settings):
        # A server of a cluster that is away holds up only its own lanes, and does not prevent a start.
        if server.info is None:
            continue
        this = "this Redis" if server.name == SINGLE_NAME else server.name
        if not server.keeps_appendonly:
            raise SettingsError("PINTUAN_REDIS_URL", f"{this} has appendonly off; {APPENDONLY_REMEDY}")
        if server.eviction != NO_EVICTION:
            reason = f"{this} has maxmemory-policy {server.eviction} and would lose groups; {EVICTION_REMEDY}"
            raise SettingsError("PINTUAN_REDIS_URL", reason)
    return found
