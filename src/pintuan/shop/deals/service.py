"""Merchants' calls about deals.

A change of a deal locks its row, then its lanes by ascending number, and raises the lanes' epoch in the same
transaction: that is how Redis learns of it, because a lane of an older epoch rebuilds itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec
import structlog
from msgspec import UNSET

from groups.errors import DealNotActive, Overloaded
from groups.ids import new_id
from groups.lifecycle import CLOSING_GRACE_MS, ESCALATION_MS, UNTRIED_WATCH_MS
from pintuan.base.errors import FieldError, InvalidInput, NotFound
from pintuan.base.wire.times import has_utc
from pintuan.people.activity.changes import changed, made
from pintuan.people.activity.log import note
from pintuan.people.merchants.service import require_seller
from pintuan.shop.catalog.service import sees_hidden
from pintuan.shop.deals import store
from pintuan.shop.deals.limits import (
    DEAL_MINOR_MAX,
    GROUP_TTL_SECONDS_MAX,
    LANES_MAX,
    OFFERS_MINOR_MAX,
    PER_BUYER_UNITS_MAX,
    STOCK_UNITS_MAX,
)
from pintuan.shop.deals.room import USUAL_ROOM, Room, count_change
from pintuan.shop.deals.schemas import Deal, DealChange, DealFilter, NewDeal
from pricing.currency import ORDER_MINOR_MAX
from pricing.ladder import HEADCOUNT_MAX, InvalidLadder, Ladder
from sql.retry import retry_serialization

if TYPE_CHECKING:
    import asyncpg

    from groups.engine import GroupEngine
    from pintuan.base.auth import Principal
    from pintuan.base.charging import GatewayRules
    from pintuan.base.wire.cursors import KeyCursor
    from pintuan.people.activity.changes import Changes
    from sql import Connection

StatusSet = Literal["active", "paused", "ended"]

_logger = structlog.get_logger("pintuan.shop.deals")


async def create_deal(
    pool: asyncpg.Pool,
    principal: Principal,
    deal: NewDeal,
    *,
    rules: GatewayRules,
    room: Room = USUAL_ROOM,
) -> Deal:
    """Puts a variant on offer, at prices the gateway can charge, in groups settled while it holds the money.

    Raises `NotFound` when the variant is not the merchant's own (an admin may offer any, in its merchant's
    name), `InvalidInput` with all that is wrong, and `LimitReached` and `RateLimited` as `Room.take` does.
    """
    deal_id = new_id("deal")

    async def transaction() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await require_seller(connection, principal.subject)
            variant = await store.lock_variant(connection, deal.variant_id)
            if variant is None or not _may_change(principal, variant.merchant_id):
                raise NotFound("variant")
            errors = [*_number_problems(deal), *_ladder_problems(deal, variant.list_price_minor)]
            errors += _charge_problems(deal, variant, rules)
            errors += _order_problems(deal.per_buyer_units, variant.list_price_minor)
            errors += await _stock_problems(
                connection,
                variant.merchant_id,
                variant.currency,
                list_price_minor=variant.list_price_minor,
                units=deal.stock,
            )
            errors += _lifetime_problems(deal.group_ttl_seconds, rules.authorisation_lifetime_ms)
            errors += _window_problems(deal.ends_at, starts_at=deal.starts_at, now=variant.now)
            if variant.visibility == "hidden":
                errors.append(FieldError("variant_id", "belongs to a product that is hidden from shoppers"))
            if errors:
                raise InvalidInput(errors)
            await room.take(connection, variant.merchant_id, deal.lanes)
            await store.insert_deal(connection, deal_id=deal_id, deal=deal, variant=variant)
            await note(connection, variant.merchant_id, [deal_id, deal.variant_id], _terms_of(deal))

    await retry_serialization(transaction)
    return await get_deal(pool, deal_id)


async def get_deal(pool: asyncpg.Pool, deal_id: str) -> Deal:
    """Returns the deal as it is now; raises `NotFound`."""
    deal = await store.select_deal(pool, deal_id)
    if deal is None:
        raise NotFound("deal")
    return deal


async def list_deals(
    pool: asyncpg.Pool,
    wanted: DealFilter,
    viewer: Principal | None,
    *,
    after: KeyCursor | None,
    limit: int,
) -> list[tuple[int, Deal]]:
    """Returns up to `limit` deals with their keys, in the order wanted, from just behind `after`.

    Deals of hidden products are among them where viewers ask for their own.
    """
    with_hidden = sees_hidden(viewer, wanted.merchant_id)
    return await store.list_deals(pool, wanted, after=after, limit=limit, with_hidden=with_hidden)


async def change_deal(
    pool: asyncpg.Pool, principal: Principal, deal_id: str, change: DealChange, *, is_paced: bool = True
) -> Deal:
    """Changes title, end, stock or nudges of a deal.

    Raises `NotFound` when the deal is not the merchant's own, `DealNotActive` when it has ended, and
    `InvalidInput` when the end is past, or the stock would shrink or come to more than can be summed. Where
    `is_paced` it raises `RateLimited` as `count_change` does.
    """

    async def decide(connection: Connection, deal: store.LockedDeal) -> store.LockedDeal:
        if deal.status == "ended":
            raise DealNotActive("The deal has ended.")
        errors = list(_change_problems(change, deal))
        if change.stock is not UNSET and change.stock > deal.stock_units:
            errors += await _stock_problems(
                connection,
                deal.merchant_id,
                deal.currency,
                list_price_minor=deal.list_price_minor,
                units=change.stock,
                units_before=deal.stock_units,
            )
        if errors:
            raise InvalidInput(errors)
        if is_paced:
            await count_change(connection, deal.merchant_id)
        return msgspec.structs.replace(
            deal,
            title=deal.title if change.title is UNSET else change.title,
            ends_at=deal.ends_at if change.ends_at is UNSET else change.ends_at,
            stock_units=deal.stock_units if change.stock is UNSET else change.stock,
            nudges=deal.nudges if change.nudges is UNSET else change.nudges,
        )

    return await _change(pool, principal, deal_id, decide)


async def set_deal_status(
    pool: asyncpg.Pool, principal: Principal, deal_id: str, status_set: StatusSet
) -> Deal:
    """Pauses, resumes ("active") or ends a deal; asking for what holds already changes nothing.

    Raises `NotFound` when the deal is not the merchant's own, and `DealNotActive` when an ended deal is to be
    paused or resumed.
    """

    async def decide(_: Connection, deal: store.LockedDeal) -> store.LockedDeal:
        if deal.status == "ended" and status_set != "ended":
            raise DealNotActive("The deal has ended.")
        return deal if deal.status == status_set else msgspec.structs.replace(deal, status_set=status_set)

    return await _change(pool, principal, deal_id, decide)


async def _change(
    pool: asyncpg.Pool,
    principal: Principal,
    deal_id: str,
    decide: Callable[[Connection, store.LockedDeal], Awaitable[store.LockedDeal]],
) -> Deal:
    async def transaction() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await require_seller(connection, principal.subject)
            deal = await store.lock_deal(connection, deal_id)
            if deal is None or not _may_change(principal, deal.merchant_id):
                raise NotFound("deal")
            decided = await decide(connection, deal)
            if decided == deal:
                return
            await store.update_deal(
                connection,
                deal_id,
                title=decided.title,
                status_set=decided.status_set,
                ends_at=decided.ends_at,
                stock_units=decided.stock_units,
                nudges=decided.nudges,
            )
            changes = changed(_noted(deal), _noted(decided))
            await note(connection, deal.merchant_id, [deal_id], changes)
            # Redis holds everything that may change but the title and the nudges, which are worth no rebuild.
            if msgspec.structs.replace(decided, title=deal.title, nudges=deal.nudges) != deal:
                await store.raise_lanes(
                    connection, deal_id, added_units=decided.stock_units - deal.stock_units
                )

    await retry_serialization(transaction)
    return await get_deal(pool, deal_id)


async def tell_lanes(engine: GroupEngine, deal_id: str) -> None:
    """Brings Redis up to a change that was committed, which saves the next joins the wait for a rebuild."""
    try:
        await engine.deal_changed(deal_id)
    except Overloaded as error:
        # The change stands, and the lanes find out by themselves.
        _logger.info("lanes learn of the change later", deal_id=deal_id, error=str(error))


def _terms_of(deal: NewDeal) -> Changes:
    """Returns what the log tells of a new deal; those who look back want to know what was offered."""
    return made(
        title=deal.title,
        ladder=[[tier.headcount, tier.unit_price] for tier in deal.ladder],
        min_headcount=deal.min_headcount,
        max_headcount=deal.max_headcount,
        group_ttl_seconds=deal.group_ttl_seconds,
        starts_at=deal.starts_at,
        ends_at=deal.ends_at,
        stock=deal.stock,
        per_buyer_units=deal.per_buyer_units,
        new_cards_per_group=deal.new_cards_per_group,
    )


def _noted(deal: store.LockedDeal) -> dict[str, object]:
    return {
        "status": deal.status_set,
        "title": deal.title,
        "ends_at": deal.ends_at,
        "stock": deal.stock_units,
        "nudges": deal.nudges,
    }


def _may_change(principal: Principal, merchant_id: str) -> bool:
    return principal.role == "admin" or principal.subject == merchant_id


def _number_problems(deal: NewDeal) -> Iterator[FieldError]:
    for field, value, high in (
        ("group_ttl_seconds", deal.group_ttl_seconds, GROUP_TTL_SECONDS_MAX),
        ("stock", deal.stock, STOCK_UNITS_MAX),
        ("per_buyer_units", deal.per_buyer_units, PER_BUYER_UNITS_MAX),
        ("lanes", deal.lanes, LANES_MAX),
    ):
        if not 1 <= value <= high:
            yield FieldError(field, f"must be from 1 to {high}")
    if deal.new_cards_per_group is not None and not 0 <= deal.new_cards_per_group <= HEADCOUNT_MAX:
        yield FieldError("new_cards_per_group", f"must be from 0 to {HEADCOUNT_MAX}, or null for any number")


def _order_problems(per_buyer_units: int, list_price_minor: int) -> Iterator[FieldError]:
    """Finds an order that would come to too much; the limit per buyer bounds every order's quantity."""
    units_max = ORDER_MINOR_MAX // list_price_minor
    if units_max < per_buyer_units <= PER_BUYER_UNITS_MAX:
        yield FieldError(
            "per_buyer_units",
            f"must be at most {units_max}: at the list price, {list_price_minor},"
            f" an order may not come to more than {ORDER_MINOR_MAX} minor units",
        )


async def _stock_problems(
    connection: Connection,
    merchant_id: str,
    currency: str,
    *,
    list_price_minor: int,
    units: int,
    units_before: int = 0,
) -> list[FieldError]:
    """Finds a stock whose sale could not be summed, alone or with all else the merchant ever offered."""
    units_max = DEAL_MINOR_MAX // list_price_minor
    if not 1 <= units <= STOCK_UNITS_MAX:
        # Told of by `_number_problems` and `_change_problems`.
        return []
    if units > units_max:
        return [
            FieldError(
                "stock",
                f"must be at most {units_max}: at the list price, {list_price_minor},"
                f" a deal may not come to more than {DEAL_MINOR_MAX} minor units",
            )
        ]
    offered_minor = await store.lock_offered_minor(connection, merchant_id, currency)
    if offered_minor + (units - units_before) * list_price_minor > OFFERS_MINOR_MAX:
        return [
            FieldError(
                "stock",
                f"is too much: at their list prices, all deals of {merchant_id} in {currency} may not come to"
                f" more than {OFFERS_MINOR_MAX} minor units, and have come to {offered_minor}",
            )
        ]
    return []


def _lifetime_problems(group_ttl_seconds: int, authorisation_lifetime_ms: int) -> Iterator[FieldError]:
    # The first member's money is held from the group's opening on. The deal's own end does not count: it may
    # be put off later.
    close_ms = CLOSING_GRACE_MS + UNTRIED_WATCH_MS
    after_ms = close_ms + ESCALATION_MS
    if group_ttl_seconds <= GROUP_TTL_SECONDS_MAX and (
        group_ttl_seconds * 1000 + after_ms > authorisation_lifetime_ms
    ):
        ttl_seconds_max = max(0, authorisation_lifetime_ms - after_ms) // 1000
        yield FieldError(
            "group_ttl_seconds",
            f"must be at most {ttl_seconds_max}: the payment gateway holds money for"
            f" {authorisation_lifetime_ms // 1000} s, and after its lifetime a group may take"
            f" {close_ms // 1000} s to close and {ESCALATION_MS // 1000} s to be charged",
        )


def _charge_problems(
    deal: NewDeal, variant: store.VariantOnOffer, rules: GatewayRules
) -> Iterator[FieldError]:
    """Finds prices that could be promised and then not be taken."""
    step_minor = rules.price_step_minor(variant.currency)
    if step_minor is None:
        yield FieldError(
            "variant_id", f"has its price in {variant.currency}, which {rules.name} cannot charge"
        )
        return
    if variant.list_price_minor % step_minor:
        yield FieldError("variant_id", f"must have a price that is a multiple of {step_minor} minor units")
    for place, tier in enumerate(deal.ladder):
        if tier.unit_price % step_minor:
            yield FieldError(
                f"ladder[{place}].unit_price",
                f"must be a multiple of {step_minor}: {rules.name} counts {variant.currency} in such steps",
            )


def _ladder_problems(deal: NewDeal, list_price_minor: int) -> Iterator[FieldError]:
    try:
        Ladder.parse(
            [(tier.headcount, tier.unit_price) for tier in deal.ladder],
            min_headcount=deal.min_headcount,
            max_headcount=deal.max_headcount,
            list_price_minor=list_price_minor,
        )
    except InvalidLadder as refused:
        yield from (FieldError(problem.field, problem.message) for problem in refused.problems)


def _window_problems(
    ends_at: datetime | None, *, starts_at: datetime | None, now: datetime
) -> Iterator[FieldError]:
    beyond = [
        name
        for name, time in (("starts_at", starts_at), ("ends_at", ends_at))
        if time is not None and not has_utc(time)
    ]
    yield from (FieldError(name, "must be in the years 1 to 9999 in UTC") for name in beyond)
    if ends_at is None or beyond:
        return
    if ends_at <= now:
        yield FieldError("ends_at", "must be in the future")
    elif starts_at is not None and ends_at <= starts_at:
        yield FieldError("ends_at", "must be after starts_at")


def _change_problems(change: DealChange, deal: store.LockedDeal) -> Iterator[FieldError]:
    if isinstance(change.ends_at, datetime):
        yield from _window_problems(change.ends_at, starts_at=deal.starts_at, now=deal.now)
    if change.stock is not UNSET and not deal.stock_units <= change.stock <= STOCK_UNITS_MAX:
        yield FieldError("stock", f"must be from {deal.stock_units}, the stock now, to {STOCK_UNITS_MAX}")
