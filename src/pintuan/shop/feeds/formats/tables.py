"""CSV and TSV as spreadsheets and shop systems write them: a header, and rows that should have its shape."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pintuan.shop.feeds.formats.items import BadRow
from pintuan.shop.feeds.formats.lines import FeedError, Lines, RowTooLong
from pintuan.shop.feeds.formats.quotes import UnpaddedLines

COLUMNS_MAX = 1_000
"""Shopify's export has about a hundred, and one for each metafield."""
PREAMBLE_LINES_MAX = 20
"""Lines down to the header beside comments; templates explain themselves in a few."""
HEADER_CHARS_MAX = 32 * 1024
"""A longer line is a header only where it is the first."""
_DELIMITERS = "\t,;|"
# What a spreadsheet program writes, and expects, above a table with another delimiter than its own.
_SEPARATOR = re.compile(r'"?sep=([\t,;|]|\\t)"?[\t,;|]*', re.IGNORECASE)


class Row(NamedTuple):
    """A row: its first line, counted from 1, and its cells by column, without padding and empty ones."""

    line: int
    cells: dict[str, str]


class Table:
    """A table whose header has been read; `header` is its column names as `_column_name` writes them.

    The header is the first line that `is_header` knows, or else the first that is no comment; other
    lines may stand above it. Raises `FeedError` when there is none.
    """

    def __init__(self, lines: Lines, is_header: Callable[[Sequence[str]], bool] = lambda _: True) -> None:
        self._lines = lines
        self._delimiter, self.header = _header(lines, is_header)
        if len(self.header) > COLUMNS_MAX:
            raise FeedError(f"the header names {len(self.header)} columns; a feed has at most {COLUMNS_MAX}")

    def require(self, required: Sequence[str], *, once: Sequence[str]) -> None:
        """Raises `FeedError` when a required column is missing, or one of `once` is there twice."""
        missing = [name for name in required if name not in self.header]
        if missing:
            raise FeedError(
                f"the header has no column {', '.join(missing)}; it names {', '.join(self.header)[:200]}"
            )
        repeated = sorted(name for name in {*required, *once} if self.header.count(name) > 1)
        if repeated:
            raise FeedError(f"the header names {', '.join(repeated)} more than once")

    def rows(self, *, repeatable: frozenset[str] = frozenset()) -> Iterator[Row | BadRow]:
        """Yields each row that has the shape of the header, and the others as bad rows.

        The cells of `repeatable` columns are joined by commas. When a row of several lines comes out
        misshapen, a quote was left open: its first line is given up and the others are read again, so that
        one stray quote costs one row. Where that happens all the time, all its lines are given up.
        """
        lines, width = self._lines, len(self.header)
        reader = _reader(lines, self._delimiter)
        while True:
            lines.start_row()
            row, reason = _next_row(reader, lines, width)
            if row is None:
                return
            first, last = lines.row_span
            if reason is not None:
                if last > first:
                    if not lines.retry_after_first():
                        reason = f"{reason}; with it, the lines up to {last} were given up"
                    reader = _reader(lines, self._delimiter)
                yield BadRow(first, reason)
            elif any(cell.strip() for cell in row):
                yield Row(first, self._cells(row, repeatable))

    def _cells(self, row: list[str], repeatable: frozenset[str]) -> dict[str, str]:
        cells: dict[str, str] = {}
        repeated: dict[str, list[str]] = {}
        for name, padded in zip(self.header, row, strict=False):
            if not (cell := padded.strip()):
                continue
            if name in repeatable:
                repeated.setdefault(name, []).append(cell)
            else:
                cells[name] = cell
        return cells | {name: ",".join(some) for name, some in repeated.items()}


def _reader(lines: Lines, delimiter: str) -> Iterator[list[str]]:
    # In tab-separated feeds `"Best" shirt` is common and harmless; elsewhere a stray quote hides rows.
    if delimiter == "\t":
        return csv.reader(lines, delimiter=delimiter)
    unpadded = UnpaddedLines(lines, delimiter)
    return csv.reader(unpadded, delimiter=delimiter, strict=True, skipinitialspace=True)


def _header(lines: Lines, is_header: Callable[[Sequence[str]], bool]) -> tuple[str, list[str]]:
    """Returns the delimiter and the names of the columns."""
    told: str | None = None
    first: tuple[str, list[str]] | None = None
    broken: csv.Error | None = None
    candidates = 0
    for line in lines:
        lines.start_row()
        text = line.strip().lstrip("\ufeff")
        if (named := _SEPARATOR.fullmatch(text)) is not None:
            told = named[1].replace("\\t", "\t")
        # Meta's templates start with comment lines that explain the columns; a spreadsheet quotes them.
        elif text.strip(f"{_DELIMITERS} ") and not text.lstrip('"').startswith("#"):
            candidates += 1
            if candidates > PREAMBLE_LINES_MAX:
                break
            if candidates > 1 and len(text) > HEADER_CHARS_MAX:
                continue
            try:
                header = _cut_up(text, told, is_header)
            except csv.Error as error:
                broken = broken or error
                continue
            if is_header(header[1]):
                return header
            first = first or header
    if first is not None:
        return first
    if broken is not None:
        raise FeedError(f"the header cannot be read: {broken}") from broken
    raise FeedError("the feed is empty; its first line must name the columns")


def _cut_up(text: str, told: str | None, is_header: Callable[[Sequence[str]], bool]) -> tuple[str, list[str]]:
    """Returns a line's delimiter and cells; where none was told, the commonest that makes a header of it."""
    by_count = sorted(_DELIMITERS, key=text.count, reverse=True)
    if len(text) > HEADER_CHARS_MAX:
        by_count = by_count[:1]
    headers = [(delimiter, _names(text, delimiter)) for delimiter in ([told] if told else by_count)]
    return next((header for header in headers if is_header(header[1])), headers[0])


def _names(text: str, delimiter: str) -> list[str]:
    reader = _reader(Lines(io.StringIO(text, newline="")), delimiter)
    return [_column_name(name) for name in next(reader, [])]


def _column_name(cell: str) -> str:
    # "Image Link", "image link" and "g:image_link" are all in use for the same column.
    return cell.strip().lower().removeprefix("g:").replace(" ", "_")


def _next_row(
    reader: Iterator[list[str]], lines: Lines, width: int
) -> tuple[list[str], str | None] | tuple[None, None]:
    """Returns the next row's cells and what is wrong with its shape or text; None for no more rows."""
    try:
        row = next(reader, None)
    except (csv.Error, RowTooLong):
        return [], lines.flaw or "has a quote out of place or never closed, or a cell far too long"
    if row is None:
        return None, None
    return row, lines.flaw or _shape_problem(row, width, lines.row_span)


def _shape_problem(row: list[str], width: int, span: tuple[int, int]) -> str | None:
    # A row may end early, as spreadsheets leave out empty cells, but not one that runs over several lines.
    first, last = span
    if last > first and len(row) < width:
        return "has a quote that is never closed"
    if any(cell.strip() for cell in row[width:]):
        return (
            f"has {len(row)} cells, the header names {width}; a cell with the separator in it must be quoted"
        )
    return None
