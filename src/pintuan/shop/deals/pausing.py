"""Pausing whatever a merchant sells, by the platform."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from groups.errors import DealNotActive
from pintuan.base.auth import Principal
from pintuan.shop.deals import store
from pintuan.shop.deals.service import set_deal_status

if TYPE_CHECKING:
    import asyncpg

_PLATFORM: Final = Principal("platform", "admin")


async def pause_deals(pool: asyncpg.Pool, merchant_id: str) -> list[str]:
    """Pauses the merchant's deals that are not over and returns their ids.

    Groups that run go on to their end. Each deal is paused by itself, as its merchant would, so that no lane
    waits for all others. A call that is cut short is finished by asking again.
    """
    paused = []
    for deal_id in await store.list_unpaused(pool, merchant_id):
        # Somebody may have ended it meanwhile.
        with suppress(DealNotActive):
            await set_deal_status(pool, _PLATFORM, deal_id, "paused")
            paused.append(deal_id)
    return paused
