"""Sales as a spreadsheet: CSV as RFC 4180 describes it, one row an order."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pintuan.selling.sales.schemas import Sale

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
)


def sheet_of(sales: Iterable[Sale]) -> str:
    """Returns the table with its header.

    No cell begins as a formula does, because what buyers wrote is a JSON object.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for sale in sales:
        writer.writerow(_row_of(sale))
    return text.getvalue()


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
        None if sale.ship_to is None else msgspec.json.encode(sale.ship_to).decode(),
        _text_of(sale.created_at),
        _text_of(sale.updated_at),
        sale.card_reference,
        sale.address_reference,
    )


def _text_of(time: object) -> str:
    """Writes a time as in JSON, so that both can be compared."""
    return msgspec.json.encode(time).decode().strip('"')
