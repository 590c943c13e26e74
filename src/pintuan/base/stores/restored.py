"""A start where Postgres was restored from a backup while Redis kept its knowledge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groups.history import follow_history
from pintuan.base.stores.neighbours import open_history

if TYPE_CHECKING:
    from pintuan.base.settings.settings import Settings


async def forget_what_was_undone(settings: Settings) -> bool:
    """Makes Redis forget what Postgres no longer has; returns whether there was anything of the kind.

    Workers look every few seconds too. A start looks before it serves: that is when a restore is over.

    Raises:
        SettingsError: a store does not answer, or the role may not call `pg_control_system`.
    """
    async with open_history(settings) as (pool, store):
        return await follow_history(pool, store)
