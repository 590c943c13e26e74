"""Connections to the Redis that places; single or cluster, with a deadline on every call."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError

from groups.cluster_url import addresses_of, names_cluster, node_url
from pintuan.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pintuan.settings import Settings

RedisClient: TypeAlias = Redis | RedisCluster

CONNECTION_COUNT_MAX: Final = 16
CONNECTION_WAIT_S: Final = 1.0
SOCKET_TIMEOUT_S: Final = 2.0
CONNECT_TIMEOUT_S: Final = 2.0
HEALTH_CHECK_INTERVAL_S: Final = 30
# All of them together take less than a probe of an orchestrator waits.
PINGS_MAX: Final = 3
PING_TIMEOUT_S: Final = 0.3

_log = logging.getLogger("pintuan.redis")


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


async def ping(client: RedisClient) -> None:
    """Returns once Redis answered; of a cluster, once one of its servers did: lanes of the others go on.

    Raises:
        RedisError, OSError: none did.
    """
    if isinstance(client, Redis):
        await client.ping()
        return
    try:
        await client.initialize()
    except RedisClusterException as error:
        raise RedisConnectionError(str(error)) from error
    primaries = client.get_primaries()
    asked = random.sample(primaries, min(len(primaries), PINGS_MAX))
    for node in asked:
        try:
            async with asyncio.timeout(PING_TIMEOUT_S):
                await node.execute_command("PING")
        except (RedisError, OSError) as error:
            _log.info("%s of the cluster does not answer: %r", node.name, error)
        else:
            return
    # Its servers may all be others by now; the next ping asks those that the URL names.
    await client.aclose()
    raise RedisConnectionError(f"none of {len(asked)} servers answers")


def placement_url(settings: Settings) -> str:
    """Returns the URL of the Redis that places, a single one or a cluster.

    Raises:
        SettingsError: none is set.
    """
    if settings.redis_url is None:
        raise SettingsError("PINTUAN_REDIS_URL", "not set; `pintuan up` sets it for the embedded Redis")
    return settings.redis_url


def _client_of(settings: Settings) -> RedisClient:
    url = placement_url(settings)
    if names_cluster(url):
        return _cluster_client(url)
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTION_COUNT_MAX,
        timeout=CONNECTION_WAIT_S,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        health_check_interval=HEALTH_CHECK_INTERVAL_S,
    )
    return Redis.from_pool(pool)


def _cluster_client(url: str) -> RedisCluster:
    nodes = addresses_of(url)
    cluster: RedisCluster = RedisCluster.from_url(
        node_url(url, *nodes[0]),
        startup_nodes=[ClusterNode(host, port) for host, port in nodes[1:]],
        max_connections=CONNECTION_COUNT_MAX,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        # A server that is away must not keep the others from being heard.
        require_full_coverage=False,
        connection_error_retry_attempts=0,
    )
    return cluster
