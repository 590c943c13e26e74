"""Looks for another marketplace on the Redis that places, for a start and for `pintuan doctor`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import asyncpg

from groups.engine import REQUEST_TTL_MS
from groups.errors import Overloaded
from groups.lane_store import LaneStore
from groups.neighbours import find_neighbours
from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.base.stores.postgres import open_pool
from pintuan.base.stores.redis import placement_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POOL_SIZE_MAX: Final = 1
NEIGHBOUR_REMEDY: Final = "name another database number of Redis, as in redis://HOST:6379/1, or another Redis"


async def require_own_redis(settings: Settings) -> list[str]:
    """Returns a line on each other marketplace that tells our Redis and came after us.

    Raises:
        SettingsError: one was there before us; or a store does not answer.
    """
    lines = []
    for title, came_after_us in await neighbours_of(settings):
        line = f"another marketplace uses this Redis: {title}"
        if not came_after_us:
            raise SettingsError("PINTUAN_REDIS_URL", f"{line}; {NEIGHBOUR_REMEDY}")
        lines.append(f"PINTUAN_REDIS_URL: {line}; it came after us, so stop it, or {NEIGHBOUR_REMEDY}")
    return lines


async def neighbours_of(settings: Settings) -> list[tuple[str, bool]]:
    """Names the other marketplaces that tell our Redis, each with whether it came after us.

    A database without tables has told nothing, so none is found. Raises SettingsError where a store does not
    answer, or where the role may not call `pg_control_system`.
    """
    async with open_history(settings) as (pool, store):
        try:
            found = await find_neighbours(pool, store.connections)
        except asyncpg.UndefinedTableError:
            return []
        return [(teller.title, came_after_us) for teller, came_after_us in found]


@asynccontextmanager
async def open_history(settings: Settings) -> AsyncIterator[tuple[asyncpg.Pool, LaneStore]]:
    """Opens what the history of Postgres is compared with, for the life of the block.

    Raises:
        SettingsError: a store does not answer in it, or the role may not call `pg_control_system`.
    """
    store = LaneStore(placement_url(settings), rates=None, request_ttl_ms=REQUEST_TTL_MS)
    try:
        async with open_pool(settings, size_max=POOL_SIZE_MAX, application_name="pintuan-up") as pool:
            yield pool, store
    except Overloaded as error:
        raise SettingsError("PINTUAN_REDIS_URL", str(error)) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise SettingsError("PINTUAN_DATABASE_URL", f"its history cannot be read: {error}") from error
    finally:
        await store.close()
