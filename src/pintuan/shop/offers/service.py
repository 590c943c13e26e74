"""The offer of a deal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.base.errors import NotFound
from pintuan.shop.offers import store

if TYPE_CHECKING:
    import asyncpg

    from pintuan.shop.offers.schemas import Offer


async def current_offer(pool: asyncpg.Pool, deal_id: str) -> Offer:
    """Returns what whoever orders now is told they bought; raises `NotFound`."""
    offer = await store.select_current_offer(pool, deal_id)
    if offer is None:
        raise NotFound("deal")
    return offer
