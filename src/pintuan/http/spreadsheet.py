"""Tables that people open in a spreadsheet: CSV as RFC 4180 describes it, told to be UTF-8, free of formulas.

Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from litestar.response import Stream

from pricing.currency import format_minor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

CSV: Final = "text/csv"
# Without it a spreadsheet reads UTF-8 as whatever its system writes.
BYTE_ORDER_MARK: Final = "\ufeff"
# A cell that begins so is a formula to a spreadsheet.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def head_of(columns: Sequence[str]) -> str:
    """Returns the begin of a table: the mark by which UTF-8 is known, and the names of the columns."""
    return BYTE_ORDER_MARK + rows_of([columns])


def rows_of(rows: Iterable[Sequence[object]]) -> str:
    """Returns rows of a table; a text that would be a formula gets an apostrophe, a number stays as it is."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def major(amount_minor: int | None, currency: str) -> Decimal | None:
    """Returns an amount as people write it, `19.99` for 1999 of USD."""
    return None if amount_minor is None else Decimal(format_minor(amount_minor, currency).partition(" ")[0])


def download(parts: AsyncIterator[str], name: str, headers: dict[str, str] | None = None) -> Stream:
    """Answers a table as a file of this name that nobody keeps for others."""
    return Stream(
        parts,
        media_type=CSV,
        headers={
            "content-disposition": f'attachment; filename="{name}"',
            "cache-control": "no-store",
            **(headers or {}),
        },
    )


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
