"""Sales as a spreadsheet: CSV as RFC 4180 describes it, one row an order."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

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
)
# A cell that begins so is a formula to a spreadsheet. Source: OWASP, CSV Injection.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


async def sheet_of(sales: Sequence[Sale]) -> AsyncIterator[str]:
    """Yields the table with its header, in parts of some rows; others have their turn between two of them.

    No cell begins as a formula does: what buyers wrote is a JSON object, and titles are made text.
    """
    yield _text_of([COLUMNS])
    for start in range(0, len(sales), ROWS_PER_PART):
        yield _text_of([_row_of(sale) for sale in sales[start : start + ROWS_PER_PART]])
        await asyncio.sleep(0)


def _text_of(rows: Iterable[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
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
        _time_of(sale.created_at),
        _time_of(sale.updated_at),
        sale.card_reference,
        sale.address_reference,
        _made_text(sale.offer.title),
        _made_text(sale.offer.product_title),
        _made_text(sale.offer.variant_title),
        _made_text(sale.offer.sku),
    )


def _made_text(title: str) -> str:
    """Puts the apostrophe before a title by which spreadsheets tell a text from a formula."""
    return f"'{title}" if title.startswith(FORMULA_STARTS) else title


def _time_of(time: object) -> str:
    """Writes a time as in JSON, so that both can be compared."""
    return msgspec.json.encode(time).decode().strip('"')
