"""Deals and their lanes in Postgres, one typed function per statement."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from pintuan.base.wire.money import Money
from pintuan.shop.catalog.schemas import Visibility
from pintuan.shop.deals.schemas import Deal, DealFilter, DealProduct, DealStatus, DealVariant, NewDeal, Tier
from pintuan.shop.offers.shown import offer_id_of, offer_of
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.wire.cursors import KeyCursor
    from sql import Connection


DEALS = load_queries(__package__)


class VariantOnOffer(msgspec.Struct, frozen=True):
    """The fields a deal takes over from its variant; `now` is Postgres' time."""

    merchant_id: str
    product_id: str
    list_price_minor: int
    currency: str
    product_title: str
    visibility: Visibility
    now: datetime


class LockedDeal(msgspec.Struct, frozen=True):
    """A deal whose row is locked; `status_set` is what somebody decided, `status` what holds now."""

    merchant_id: str
    title: str
    status_set: str
    status: DealStatus
    starts_at: datetime
    ends_at: datetime | None
    stock_units: int
    nudges: bool
    now: datetime
    list_price_minor: int
    currency: str


async def lock_variant(connection: Connection, variant_id: str) -> VariantOnOffer | None:
    """Keeps the variant where it is for the transaction and returns it; None when no variant has this id."""
    # Locked in one statement and read in the next, which sees where an import has just moved it.
    await connection.execute(DEALS["lock_variant"], variant_id)
    row = await connection.fetchrow(DEALS["select_variant_on_offer"], variant_id)
    return None if row is None else VariantOnOffer(**row)


async def lock_offered_minor(connection: Connection, merchant_id: str, currency: str) -> int:
    """Returns what a merchant's deals in a currency come to at their list prices, all units ever offered.

    Until the transaction ends nobody else adds to it.
    """
    # Locked in one statement and read in the next, which sees what whoever had the lock has added.
    await connection.execute(DEALS["lock_offers"], merchant_id)
    return int(await connection.fetchval(DEALS["offered_minor"], merchant_id, currency))


async def lock_watched_lanes(connection: Connection, merchant_id: str) -> int:
    """Returns how many lanes of a merchant's deals sweeps look at.

    Until the transaction ends nobody else adds to it.
    """
    await connection.execute(DEALS["lock_offers"], merchant_id)
    return int(await connection.fetchval(DEALS["watched_lanes"], merchant_id))


async def insert_deal(
    connection: Connection, *, deal_id: str, deal: NewDeal, variant: VariantOnOffer
) -> None:
    """Adds a deal with its lanes; the constraints refuse what the service should have."""
    await connection.execute(
        DEALS["insert_deal"],
        deal_id,
        variant.merchant_id,
        variant.product_id,
        deal.variant_id,
        deal.title or variant.product_title,
        variant.currency,
        variant.list_price_minor,
        [tier.headcount for tier in deal.ladder],
        [tier.unit_price for tier in deal.ladder],
        deal.min_headcount,
        deal.max_headcount,
        deal.group_ttl_seconds * 1000,
        deal.starts_at or variant.now,
        deal.ends_at,
        deal.stock,
        deal.per_buyer_units,
        deal.lanes,
        deal.nudges,
        deal.new_cards_per_group,
    )


async def select_deal(pool: asyncpg.Pool, deal_id: str) -> Deal | None:
    """Returns the deal as it is now, or None when no deal has this id."""
    row = await pool.fetchrow(DEALS["select_deal"], deal_id)
    return None if row is None else _deal_of(row)


async def list_deals(
    pool: asyncpg.Pool, wanted: DealFilter, *, after: KeyCursor | None, limit: int, with_hidden: bool
) -> list[tuple[int, Deal]]:
    """Returns up to `limit` deals with their keys, in the order wanted, from just behind `after`."""
    rows = await pool.fetch(
        DEALS["list_deals"],
        wanted.q,
        wanted.merchant_id,
        wanted.product_id,
        wanted.variant_id,
        wanted.status,
        wanted.currency,
        wanted.price_max,
        wanted.sort,
        after.key if after else None,
        after.id if after else None,
        limit,
        with_hidden,
    )
    return [(row["key"], _deal_of(row)) for row in rows]


async def list_unpaused(pool: asyncpg.Pool, merchant_id: str) -> list[str]:
    """Returns the ids of the merchant's deals that are neither paused nor over."""
    rows = await pool.fetch(DEALS["list_unpaused"], merchant_id)
    return [row["id"] for row in rows]


async def lock_deal(connection: Connection, deal_id: str) -> LockedDeal | None:
    """Locks the deal's row for the transaction; None when no deal has this id."""
    row = await connection.fetchrow(DEALS["lock_deal"], deal_id)
    return None if row is None else LockedDeal(**row)


async def update_deal(
    connection: Connection,
    deal_id: str,
    *,
    title: str,
    status_set: str,
    ends_at: datetime | None,
    stock_units: int,
    nudges: bool,
) -> None:
    """Writes what a merchant may change of a deal; its row must be locked."""
    await connection.execute(DEALS["update_deal"], deal_id, title, status_set, ends_at, stock_units, nudges)


async def raise_lanes(connection: Connection, deal_id: str, *, added_units: int) -> None:
    """Raises the epoch of the deal's lanes, in their order, and splits `added_units` over them."""
    await connection.execute(DEALS["lock_lanes"], deal_id)
    await connection.execute(DEALS["raise_lanes"], deal_id, added_units)


def _deal_of(row: asyncpg.Record) -> Deal:
    currency: str = row["currency"]
    return Deal(
        id=row["id"],
        merchant_id=row["merchant_id"],
        product_id=row["product_id"],
        variant_id=row["variant_id"],
        title=row["title"],
        status=row["status"],
        currency=currency,
        product=DealProduct(title=row["product_title"], images=row["product_images"]),
        variant=DealVariant(
            sku=row["variant_sku"],
            title=row["variant_title"],
            options=dict(row["variant_options"]),
            images=row["variant_images"],
        ),
        list_price=Money(row["list_price_minor"], currency),
        starting_price=Money(row["starting_price_minor"], currency),
        lowest_price=Money(row["lowest_price_minor"], currency),
        ladder=[
            Tier(headcount, Money(unit_price_minor, currency))
            for headcount, unit_price_minor in zip(
                row["tier_headcounts"], row["tier_prices_minor"], strict=True
            )
        ],
        min_headcount=row["min_headcount"],
        max_headcount=row["max_headcount"],
        group_ttl_seconds=row["group_ttl_ms"] // 1000,
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        stock=row["stock_units"],
        sold=row["sold_units"],
        per_buyer_units=row["per_buyer_units"],
        new_cards_per_group=row["new_cards_per_group"],
        lanes=row["lane_count"],
        nudges=row["nudges"],
        created_at=row["created_at"],
        offer_id=offer_id_of(offer_of(row["offer"])),
    )
