"""Offers in Postgres, one typed function per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from groups.setbacks import Broom
from pintuan.shop.offers.shown import offer_of
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from pintuan.shop.offers.schemas import Offer

OFFERS: Final = load_queries(__package__)


async def select_current_offer(pool: asyncpg.Pool, deal_id: str) -> Offer | None:
    """Returns what the deal offers now, or None when no deal has this id."""
    kept = await pool.fetchval(OFFERS["select_current_offer"], deal_id)
    return None if kept is None else offer_of(kept)


async def drop_spare_offers(pool: asyncpg.Pool, limit: int) -> int:
    """Drops those of up to `limit` replaced versions that nobody ordered under; returns how many it saw."""
    broom = Broom(pool, "replaced offers", due=OFFERS["replaced_offers"], drop=OFFERS["drop_spare_offers"])
    return await broom.sweep(limit)
