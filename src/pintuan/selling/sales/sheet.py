"""Sales as a spreadsheet: CSV as RFC 4180 describes it, one row an order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.http.spreadsheet import head_of, json_of, major, rows_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from decimal import Decimal

    from pintuan.base.wire.money import Money
    from pintuan.selling.sales.schemas import Sale

ROWS_PER_PART: Final = 100
COLUMNS: Final = (
    "order_id",
    "deal_id",
    "group_id",
    "seat",
    "status",
    "quantity",
    "currency",
    "promised_price_minor",
    "charged_unit_price_minor",
    "charged_total_minor",
    "refunded_total_minor",
    "payment_status",
    "buyer_reference",
    "ship_to",
    "created_at",
    "updated_at",
    "card_reference",
    "address_reference",
    "deal_title",
    "product_title",
    "variant_title",
    "sku",
    "promised_price",
    "charged_unit_price",
    "charged_total",
    "refunded_total",
)


async def sheet_of(sales: Sequence[Sale]) -> AsyncIterator[str]:
    """Yields the table with its header, in parts of some rows; others have their turn between two of them.

    Amounts stand in minor units and, at the end, as people write them.
    """
    yield head_of(COLUMNS)
    for start in range(0, len(sales), ROWS_PER_PART):
        yield rows_of([_row_of(sale) for sale in sales[start : start + ROWS_PER_PART]])
        await asyncio.sleep(0)


def _row_of(sale: Sale) -> tuple[object, ...]:
    return (
        sale.id,
        sale.deal_id,
        sale.group_id,
        sale.seat,
        sale.status,
        sale.quantity,
        sale.promised_price.currency,
        sale.promised_price.amount,
        None if sale.charged_unit_price is None else sale.charged_unit_price.amount,
        None if sale.charged_total is None else sale.charged_total.amount,
        None if sale.refunded_total is None else sale.refunded_total.amount,
        sale.payment.status,
        sale.buyer_reference,
        None if sale.ship_to is None else json_of(sale.ship_to),
        _time_of(sale.created_at),
        _time_of(sale.updated_at),
        sale.card_reference,
        sale.address_reference,
        sale.offer.title,
        sale.offer.product_title,
        sale.offer.variant_title,
        sale.offer.sku,
        _major(sale.promised_price),
        _major(sale.charged_unit_price),
        _major(sale.charged_total),
        _major(sale.refunded_total),
    )


def _major(price: Money | None) -> Decimal | None:
    return None if price is None else major(price.amount, price.currency)


def _time_of(time: object) -> str:
    """Writes a time as in JSON, so that both can be compared."""
    return msgspec.json.encode(time).decode().strip('"')
