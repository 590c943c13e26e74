"""Connections to the Redis that places; single or cluster, with a deadline on every call."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster

from pintuan.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pintuan.settings import Settings

RedisClient: TypeAlias = Redis | RedisCluster

CLUSTER_SCHEME: Final = "redis+cluster:"
CONNECTION_COUNT_MAX: Final = 16
CONNECTION_WAIT_S: Final = 1.0
SOCKET_TIMEOUT_S: Final = 2.0
CONNECT_TIMEOUT_S: Final = 2.0
HEALTH_CHECK_INTERVAL_S: Final = 30


@asynccontextmanager
async def open_redis(settings: Settings) -> AsyncIterator[RedisClient]:
    """Opens a client for the life of the block; it connects at its first call.

    Nothing is retried by the client: a script that timed out may have run, and only its caller can tell.

    Raises:
        SettingsError: no Redis URL is set.
    """
    client = _client_of(settings)
    try:
        yield client
    finally:
        await client.aclose()


def placement_url(settings: Settings) -> str:
    """Returns the URL of the Redis that places.

    Raises:
        SettingsError: none is set, or a cluster, in which the group engine cannot place yet.
    """
    url = settings.redis_url
    if url is None:
        raise SettingsError("PINTUAN_REDIS_URL", "not set; `pintuan up` sets it for the embedded Redis")
    if url.startswith(CLUSTER_SCHEME):
        raise SettingsError(
            "PINTUAN_REDIS_URL", "placing in a cluster is not supported yet; name a single Redis"
        )
    return url


def _client_of(settings: Settings) -> RedisClient:
    url = settings.redis_url
    if url is None:
        raise SettingsError("PINTUAN_REDIS_URL", "not set; `pintuan up` sets it for the embedded Redis")
    if url.startswith(CLUSTER_SCHEME):
        cluster: RedisCluster = RedisCluster.from_url(
            url.replace(CLUSTER_SCHEME, "redis:", 1),
            max_connections=CONNECTION_COUNT_MAX,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
        )
        return cluster
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTION_COUNT_MAX,
        timeout=CONNECTION_WAIT_S,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        health_check_interval=HEALTH_CHECK_INTERVAL_S,
    )
    return Redis.from_pool(pool)
