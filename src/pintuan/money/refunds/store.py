"""Refunds in Postgres, one typed function per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sql import load_queries

if TYPE_CHECKING:
    from sql import Connection


REFUNDS = load_queries(__package__)


class RefundableOrder(msgspec.Struct, frozen=True):
    """A locked order: its charge, and the refunds asked for that have not failed, in minor units."""

    merchant_id: str
    status: str
    currency: str
    charged_minor: int
    refund_asked_minor: int


class RefundsSoFar(msgspec.Struct, frozen=True):
    """The number of an order's refunds, the platform's fee on it, and the returned part of that fee."""

    refund_count: int
    fee_minor: int
    fee_returned_minor: int


class AskedRefund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund that is about to be written down."""

    id: str
    order_id: str
    refund_no: int
    amount_minor: int
    fee_returned_minor: int
    reason: str
    asked_by: str


async def lock_order(
    connection: Connection, order_id: str, *, merchant_id: str | None
) -> RefundableOrder | None:
    """Locks the order for the transaction; None when it does not exist or is another merchant's."""
    row = await connection.fetchrow(REFUNDS["lock_refundable_order"], order_id, merchant_id)
    return None if row is None else RefundableOrder(**row)


async def refunds_so_far(connection: Connection, order_id: str) -> RefundsSoFar:
    """Sums up the earlier refunds of a locked order."""
    (row,) = await connection.fetch(REFUNDS["refunds_so_far"], order_id)
    return RefundsSoFar(**row)


async def insert_refund(connection: Connection, refund: AskedRefund) -> None:
    """Writes the refund, its payment operation and its place in the books."""
    await connection.execute(
        REFUNDS["ask_refund"],
        refund.id,
        refund.order_id,
        refund.refund_no,
        refund.amount_minor,
        refund.fee_returned_minor,
        refund.reason,
        refund.asked_by,
    )
