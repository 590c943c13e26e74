"""Tables that people open in a spreadsheet: CSV as RFC 4180 describes it, told to be UTF-8, free of formulas.

In much of Europe spreadsheets part cells by a semicolon, and after a paste by a tab. A sign within a cell
that would begin one there is therefore treated as at its beginning.

Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec
from litestar.response import Stream

from pricing.currency import format_minor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

CSV: Final = "text/csv"
# Without it a spreadsheet reads UTF-8 as whatever its system writes.
BYTE_ORDER_MARK: Final = "\ufeff"
# A cell that begins so is a formula to a spreadsheet; the last four are the signs in full width.
FORMULA_SIGNS: Final = "=+-@\uff1d\uff0b\uff0d\uff20"
_SIGN: Final = f"[{re.escape(FORMULA_SIGNS)}]"
# The begin of a text, or of a part that another separator would make a cell; quotes and spaces may be lost.
_FORMULA: Final = re.compile(rf'^(?=[\t\r\n])|(?:^|(?<=[;\t\r\n]))(?=[\s"]*{_SIGN})')
# The same in JSON, whose tabs and line breaks are escapes. No separator is before the begin of a string.
_FORMULA_IN_JSON: Final = re.compile(rf"((?:;|\\[tnr])\s*)({_SIGN})")


def head_of(columns: Sequence[str]) -> str:
    """Returns the begin of a table: the mark by which UTF-8 is known, and the names of the columns."""
    return BYTE_ORDER_MARK + rows_of([columns])


def rows_of(rows: Iterable[Sequence[object]]) -> str:
    """Returns rows of a table; a text that would be a formula gets apostrophes, a number stays as it is."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def json_of(value: object) -> str:
    """Returns JSON of which no part is a formula: signs that would begin one are written as `\\u003d`."""
    text = msgspec.json.encode(value).decode()
    return _FORMULA_IN_JSON.sub(lambda found: f"{found[1]}\\u{ord(found[2]):04x}", text)


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
    return _FORMULA.sub("'", value) if isinstance(value, str) else value
