"""Connections to the Redis that places; single or cluster, with a deadline on every call."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from redis.exceptions import ConnectionError as RedisConnectionError

from groups.cluster import connections_to
from groups.errors import Overloaded
from pintuan.base.settings.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from groups.connections import Connections
    from pintuan.base.settings.settings import Settings

# All of them together take less than a probe of an orchestrator waits.
PINGS_MAX: Final = 3
PING_TIMEOUT_S: Final = 0.3

_log = logging.getLogger("pintuan.redis")


@asynccontextmanager
async def open_redis(settings: Settings) -> AsyncIterator[Connections]:
    """Opens connections for the life of the block; the first is made at the first call.

    Raises:
        SettingsError: no Redis URL is set.
    """
    connections = connections_to(placement_url(settings))
    try:
        yield connections
    finally:
        await connections.close()


async def ping(connections: Connections) -> None:
    """Returns once Redis answered; of a cluster, once one of its servers did: lanes of the others go on.

    Raises:
        RedisError: none did.
    """
    try:
        homes = list(await connections.homes())
    except Overloaded as error:
        raise RedisConnectionError(str(error)) from error
    asked = random.sample(homes, min(len(homes), PINGS_MAX))
    # A single one is given the time of its caller.
    timeout_s = PING_TIMEOUT_S if len(asked) > 1 else None
    for home in asked:
        try:
            async with asyncio.timeout(timeout_s), connections.lend_at(home) as lent:
                await lent.call("PING")
        except (Overloaded, TimeoutError) as error:
            _log.info("%s:%d does not answer: %r", *home, error)
        else:
            return
    raise RedisConnectionError(f"none of {len(asked)} servers answers")


def placement_url(settings: Settings) -> str:
    """Returns the URL of the Redis that places, a single one or a cluster.

    Raises:
        SettingsError: none is set.
    """
    if settings.redis_url is None:
        raise SettingsError("PINTUAN_REDIS_URL", "not set; `pintuan up` sets it for the embedded Redis")
    return settings.redis_url
