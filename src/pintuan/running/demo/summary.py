"""The last screen: everybody's payments, the links still open, and lines to paste."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.table import Table
from rich.text import Text

from pintuan.base.wire.money import Money
from pintuan.running.demo.board import Record
from pintuan.running.demo.narration import shown
from pintuan.running.demo.view import STATUS_STYLES


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table, and the width of the terminal from which on there is room for it."""

    name: str
    width_min: int = 0
    is_amount: bool = True


COLUMNS: Final = (
    Column("deal", is_amount=False),
    Column("ended", is_amount=False),
    Column("in", 108, is_amount=False),
    Column("list"),
    Column("promised"),
    Column("paid each"),
    Column("paid in all", 108),
    Column("saved", 92),
    Column("given back", 124),
)
GUEST: Final = "Guest"
"""The name of the shopper whose token goes into the lines to paste."""


def groups_table(records: Sequence[Record], *, width: int) -> Table:
    """Returns a row for each group and purchase: list price, promises, and the price paid.

    `width` is the terminal's; on a narrow one the columns one can do without are left out.
    """
    shown_columns = [column for column in COLUMNS if width >= column.width_min]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in shown_columns:
        table.add_column(column.name, justify="right" if column.is_amount else "left", no_wrap=True)
    for record in records:
        cells = _cells(record)
        table.add_row(*(cells[column.name] for column in shown_columns))
    return table


def orders_line(records: Sequence[Record]) -> str:
    """Returns how many orders ended in each status, the most frequent first."""
    counts = Counter(placed.order.status for record in records for placed in record.placed.values())
    shares = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    return f"{counts.total()} orders: {shares}" if counts else "no orders"


def links_left(records: Sequence[Record]) -> list[str]:
    """Returns a line for each group that is still open, with its link."""
    return [
        f"  {group.share_url}  {record.deal.title}, {group.headcount} of {group.max_headcount} in"
        for record in records
        if (group := record.group) is not None and group.status == "open"
    ]


def lines_to_paste(records: Sequence[Record], *, url: str, token: str) -> list[str]:
    """Returns shell lines that look at an open group and join it; none when no group is open."""
    open_groups = [record.group for record in records if record.group and record.group.status == "open"]
    if not open_groups:
        return []
    group = open_groups[0]
    return [
        f"curl -s {url}/v1/share/{group.share_code}",
        f"curl -s {url}/v1/groups/{group.id}/join -H 'Authorization: Bearer {token}'"
        " -H 'Idempotency-Key: first-try' -H 'Content-Type: application/json'"
        ' -d \'{"payment_method": "pm_ok"}\'',
    ]


def _cells(record: Record) -> dict[str, Text | str]:
    deal, group = record.deal, record.group
    status = group.status if group is not None else "solo"
    orders = [placed.order for placed in record.placed.values()]
    paid = [order for order in orders if order.charged_total is not None]
    given_back_minor = sum(
        order.refunded_total.amount for order in orders if order.refunded_total is not None
    )
    paid_minor = sum(order.charged_total.amount for order in paid if order.charged_total is not None)
    saved_minor = sum(order.quantity for order in paid) * deal.list_price.amount - paid_minor
    headcount = f"{group.headcount}/{group.max_headcount}" if group is not None else ""
    return {
        "deal": deal.title,
        "ended": Text("alone" if status == "solo" else status, STATUS_STYLES[status]),
        "in": headcount,
        "list": shown(deal.list_price),
        "promised": _span([order.promised_price for order in orders]),
        "paid each": _span([o.charged_unit_price for o in paid if o.charged_unit_price is not None]),
        "paid in all": shown(Money(paid_minor, deal.currency)) if paid else "",
        "saved": shown(Money(saved_minor, deal.currency)) if paid else "",
        "given back": shown(Money(given_back_minor, deal.currency)) if given_back_minor else "",
    }


def _span(prices: Sequence[Money]) -> str:
    """Returns "36.00 USD", or "36.00–44.00 USD" when they differ."""
    if not prices:
        return ""
    low, high = min(prices, key=_amount), max(prices, key=_amount)
    return shown(high) if low == high else f"{shown(low).split()[0]}–{shown(high)}"


def _amount(price: Money) -> int:
    return price.amount
