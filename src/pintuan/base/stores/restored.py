"""What a start does where Postgres was restored from a backup while Redis kept what it knew."""

from __future__ import annotations

from typing import Final

import asyncpg

from groups.engine import REQUEST_TTL_MS
from groups.errors import Overloaded
from groups.history import follow_history
from groups.lane_store import LaneStore
from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.base.stores.postgres import open_pool
from pintuan.base.stores.redis import placement_url

POOL_SIZE_MAX: Final = 1


async def forget_what_was_undone(settings: Settings) -> bool:
    """Makes Redis forget what Postgres no longer has; returns whether there was anything of the kind.

    Workers look every few seconds too. A start looks before it serves: that is when a restore is over.

    Raises:
        SettingsError: a store does not answer, or the role may not call `pg_control_system`.
    """
    store = LaneStore(placement_url(settings), rates=None, request_ttl_ms=REQUEST_TTL_MS)
    try:
        async with open_pool(settings, size_max=POOL_SIZE_MAX, application_name="pintuan-up") as pool:
            return await follow_history(pool, store)
    except Overloaded as error:
        raise SettingsError("PINTUAN_REDIS_URL", str(error)) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise SettingsError("PINTUAN_DATABASE_URL", f"its history cannot be read: {error}") from error
    finally:
        await store.close()
