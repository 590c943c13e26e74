"""CSV and TSV as spreadsheets and shop systems write them: a header, and rows that should have its shape."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pintuan.shop.feeds.formats.items import BadRow
from pintuan.shop.feeds.formats.lines import FeedError, Lines, RowTooLong

COLUMNS_MAX = 1_000
"""Shopify's export has about a hundred, and one for each metafield."""
_DELIMITERS = "\t,;|"


class Row(NamedTuple):
    """A row: its first line, counted from 1, and its cells by column, without padding and empty ones."""

    line: int
    cells: dict[str, str]


class Table:
    """A table whose header has been read; `header` is its column names as `_column_name` writes them.

    Raises `FeedError` when there is none.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        line = _header_line(lines)
        self._delimiter = max(_DELIMITERS, key=line.count)
        try:
            names = next(csv.reader([line], delimiter=self._delimiter))
        except csv.Error as error:
            raise FeedError(f"the header cannot be read: {error}") from error
        if len(names) > COLUMNS_MAX:
            raise FeedError(f"the header names {len(names)} columns; a feed has at most {COLUMNS_MAX}")
        self.header = [_column_name(name) for name in names]

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
        # In tab-separated feeds `"Best" shirt` is common and harmless; elsewhere a stray quote hides rows.
        strict = self._delimiter != "\t"
        lines, width = self._lines, len(self.header)
        reader = csv.reader(lines, delimiter=self._delimiter, strict=strict)
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
                    reader = csv.reader(lines, delimiter=self._delimiter, strict=strict)
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


def _header_line(lines: Lines) -> str:
    for line in lines:
        # Meta's templates start with comment lines that explain the columns.
        if line.strip() and not line.startswith("#"):
            return line
        lines.start_row()
    raise FeedError("the feed is empty; its first line must name the columns")


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
