"""Placing, reading and cancelling orders for a buyer."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from groups.cancellation import Cancellation
from groups.placement import Placement, Verb
from pintuan.base.errors import InvalidInput, NotFound
from pintuan.buying.groups.schemas import Group, Order, Payment
from pintuan.buying.groups.service import read_groups
from pintuan.buying.orders import ship_to, store
from pintuan.buying.orders.errors import OfferChanged
from pintuan.buying.orders.placed import group_of_placed, order_of_placed
from pintuan.shop.offers.shown import offer_id_of

if TYPE_CHECKING:
    import asyncpg

    from groups.engine import GroupEngine
    from groups.placement import Placed
    from pintuan.base.charging import GatewayRules
    from pintuan.base.stores.doorbells import Doorbells
    from pintuan.base.wire.cursors import Cursor
    from pintuan.buying.groups.schemas import OrderStatus
    from pintuan.buying.orders.schemas import NewOrder

REQUEST_ID_BYTES = 16
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def hash_request(buyer_id: str, method: str, path: str, idempotency_key: str) -> bytes:
    """Returns what a key is remembered under: principal, call and key, 16 bytes."""
    scope = "\0".join((buyer_id, method, path, idempotency_key))
    return blake2b(scope.encode(), digest_size=REQUEST_ID_BYTES).digest()


def digest_of(body: msgspec.Struct | None) -> bytes:
    """Returns a digest that tells two bodies apart, whatever their spacing and order of fields: 16 bytes."""
    return blake2b(_encode_sorted(body), digest_size=REQUEST_ID_BYTES).digest()


async def place(
    pool: asyncpg.Pool, engine: GroupEngine, placement: Placement, *, share_base: str
) -> tuple[Order, bool]:
    """Places the buyer; returns the order, and whether an earlier call with the key had made it.

    `share_base` is the URL that a share code is appended to, here and below. Raises what `GroupEngine.place`
    raises.
    """
    recorded = await engine.place(placement)
    if recorded.placed is not None:
        return shown_order(recorded.order_id, recorded.placed, share_base=share_base), False
    read = get_order if recorded.replayed else read_placed
    order = await read(pool, recorded.order_id, placement.buyer_id, share_base=share_base)
    return order, recorded.replayed


async def read_placed(pool: asyncpg.Pool, order_id: str, buyer_id: str, *, share_base: str) -> Order:
    """Reads an order that the caller placed this moment, and which another statement than its own recorded.

    The answer tells what the call did, and a worker may have authorised the order since.
    """
    return msgspec.structs.replace(
        await get_order(pool, order_id, buyer_id, share_base=share_base),
        offer=None,
        status="held",
        payment=Payment("due"),
        charged_unit_price=None,
        charged_total=None,
        refunded_total=None,
    )


async def check_offer(pool: asyncpg.Pool, offer_id: str | None, placement: Placement) -> None:
    """Raises OfferChanged unless the deal offers what the caller was shown.

    None is not compared; a key that has placed an order is left to the engine, which answers with that order.
    """
    if offer_id is None:
        return
    offer = await store.select_offer_to_place(pool, placement)
    if offer is not None and offer_id_of(offer) != offer_id:
        raise OfferChanged


def placement_of(
    buyer_id: str,
    body: NewOrder,
    rules: GatewayRules,
    *,
    verb: Verb,
    request_id: bytes,
    deal_id: str = "",
    group_id: str | None = None,
) -> Placement:
    """Returns the request for the engine; raises InvalidInput for faults that the type of a body cannot
    express.
    """
    _check(body, rules)
    return Placement(
        verb=verb,
        deal_id=deal_id,
        group_id=group_id,
        buyer_id=buyer_id,
        quantity=body.quantity,
        payment_method=body.payment_method,
        request_id=request_id,
        body_digest=digest_of(body),
        invite_code=body.invite_code,
        ship_to=body.ship_to,
    )


def shown_order(order_id: str, placed: Placed, *, share_base: str) -> Order:
    """Returns an order that was placed this moment, with its group."""
    group = None
    if placed.group is not None:
        group = group_of_placed(placed.group, server_time=placed.created_at, share_base=share_base)
    return order_of_placed(order_id, placed, group)


async def get_order(pool: asyncpg.Pool, order_id: str, buyer_id: str, *, share_base: str) -> Order:
    """Returns the buyer's order with its group; raises NotFound, also for somebody else's."""
    order = await store.select_order(pool, order_id, buyer_id)
    if order is None:
        raise NotFound("order")
    (shown,) = await _with_groups(pool, [order], share_base=share_base)
    return shown


async def get_any_order(pool: asyncpg.Pool, order_id: str, *, share_base: str) -> Order:
    """Returns anybody's order with its group, for a caller found to be its merchant; raises NotFound."""
    order = await store.select_any_order(pool, order_id)
    if order is None:
        raise NotFound("order")
    (shown,) = await _with_groups(pool, [order], share_base=share_base)
    return shown


async def list_orders(
    pool: asyncpg.Pool,
    buyer_id: str,
    *,
    share_base: str,
    status: OrderStatus | None,
    after: Cursor | None,
    limit: int,
) -> list[Order]:
    """Returns up to `limit` of the buyer's orders with their groups, newest first; None is any status."""
    orders = await store.list_orders(pool, buyer_id, status=status, after=after, limit=limit)
    return await _with_groups(pool, orders, share_base=share_base)


async def cancel(
    pool: asyncpg.Pool,
    engine: GroupEngine,
    doorbells: Doorbells,
    order_id: str,
    buyer_id: str,
    *,
    request_id: bytes,
    share_base: str,
) -> Order:
    """Cancels the buyer's order and returns it; raises what `GroupEngine.cancel` raises."""
    await engine.cancel(
        Cancellation(order_id=order_id, buyer_id=buyer_id, request_id=request_id, body_digest=digest_of(None))
    )
    # A void may be due, and the freed seat is for the next buyer to take.
    doorbells.ring("payments")
    return await get_order(pool, order_id, buyer_id, share_base=share_base)


def _check(body: NewOrder, rules: GatewayRules) -> None:
    refusal = rules.refuse_method(body.payment_method)
    if refusal is not None:
        raise InvalidInput.of("payment_method", refusal)
    if body.ship_to is None:
        return
    refusal = ship_to.refusal_of(body.ship_to)
    if refusal is not None:
        raise InvalidInput.of("ship_to", refusal)


async def _with_groups(pool: asyncpg.Pool, orders: list[Order], *, share_base: str) -> list[Order]:
    group_ids = sorted({order.group_id for order in orders if order.group_id is not None})
    groups: dict[str, Group] = {}
    if group_ids:
        groups = await read_groups(pool, group_ids, share_base=share_base)
    return [
        order if order.group_id is None else msgspec.structs.replace(order, group=groups[order.group_id])
        for order in orders
    ]
