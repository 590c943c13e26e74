"""Asking for a refund; the workers then carry it out like any other payment operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from groups.ids import new_id
from groups.requests import is_first
from pintuan.base.errors import InvalidInput, NotFound
from pintuan.buying.archive.service import bring_back_order
from pintuan.money.refunds import store
from pintuan.money.refunds.errors import NotRefundable
from pintuan.people.activity.changes import made
from pintuan.people.activity.log import note
from pricing.charge import Refundable, RefundRefused
from pricing.fee import fee_to_return
from sql.retry import retry_serialization

if TYPE_CHECKING:
    import asyncpg

    from pintuan.money.refunds.schemas import NewRefund

_REFUNDABLE: Final = frozenset({"captured", "partially_refunded"})
REFUNDS_PER_ORDER_MAX: Final = 100


async def ask_refund(
    pool: asyncpg.Pool,
    order_id: str,
    wish: NewRefund,
    *,
    merchant_id: str | None,
    asked_by: str,
    request_id: bytes,
    body_digest: bytes,
) -> bool:
    """Writes a refund down; returns False when its key had been recorded, and changes nothing then.

    `merchant_id` of None stands for an admin. Raises `NotFound`, `NotRefundable`, `InvalidInput` and
    `IdempotencyKeyReused`.
    """

    async def transaction() -> bool:
        async with pool.acquire() as connection, connection.transaction():
            order = await store.lock_order(connection, order_id, merchant_id=merchant_id)
            if order is None and await bring_back_order(connection, order_id, merchant_id=merchant_id):
                order = await store.lock_order(connection, order_id, merchant_id=merchant_id)
            if order is None:
                raise NotFound("order")
            if not await is_first(
                connection, request_id=request_id, body_digest=body_digest, order_id=order_id
            ):
                return False
            so_far = await store.refunds_so_far(connection, order_id)
            before = _refundable_of(order, so_far)
            after = _after(before, wish)
            refund_id = new_id("rfd")
            await store.insert_refund(
                connection,
                store.AskedRefund(
                    id=refund_id,
                    order_id=order_id,
                    refund_no=so_far.refund_count + 1,
                    amount_minor=after.refunded_minor - before.refunded_minor,
                    fee_returned_minor=fee_to_return(
                        so_far.fee_minor,
                        order.charged_minor,
                        after.refunded_minor,
                        so_far.fee_returned_minor,
                    ),
                    reason=wish.reason,
                    asked_by=asked_by,
                ),
            )
            # The reason is the merchant's words, and may name the buyer.
            amount_minor = after.refunded_minor - before.refunded_minor
            changes = made(amount=amount_minor, currency=order.currency)
            await note(connection, order.merchant_id, [order_id, refund_id], changes)
            return True

    return await retry_serialization(transaction)


def _refundable_of(order: store.RefundableOrder, so_far: store.RefundsSoFar) -> Refundable:
    if order.status not in _REFUNDABLE:
        raise NotRefundable(f"An order that is {order.status} has nothing to give back.")
    if so_far.refund_count >= REFUNDS_PER_ORDER_MAX:
        raise NotRefundable(f"An order has at most {REFUNDS_PER_ORDER_MAX} refunds.")
    refundable = Refundable(order.charged_minor, order.refund_asked_minor)
    if refundable.refundable_minor == 0:
        raise NotRefundable("All of the charge was asked back already.")
    return refundable


def _after(before: Refundable, wish: NewRefund) -> Refundable:
    try:
        return before.refund(wish.amount)
    except RefundRefused as refused:
        raise InvalidInput.of(
            "amount", f"must be from 1 to {refused.refundable_minor}, what is left of the charge"
        ) from refused
