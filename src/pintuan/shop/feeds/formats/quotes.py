"""Lines of a table whose quoted cells are padded, without the padding that csv would refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pintuan.shop.feeds.formats.lines import Lines

_NOWHERE: Final = -1


class UnpaddedLines:
    """Iterates over lines, taking the blanks away that stand between a closing quote and the cell's end.

    Some systems pad every cell to the width of its column. Only a quote that closes its cell is followed, so
    blanks behind a quote inside a cell stay. Every character is looked at once more at most.
    """

    def __init__(self, lines: Lines, delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._padded = re.compile(rf'" +(?:{re.escape(delimiter)}|[\r\n]|$)')
        self._is_open = False
        self._read = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        of_row = self._lines.row_lines
        if len(of_row) == 1:
            self._is_open, self._read = False, 0
        if self._padded.search(line) is None:
            return line
        for earlier in of_row[self._read : -1]:
            self._unpadded(earlier)
        self._read = len(of_row)
        return self._unpadded(line)

    def _unpadded(self, line: str) -> str:
        """Returns the line; from the one before it is known whether it begins inside a quoted cell."""
        pieces: list[str] = []
        at, kept = 0, 0
        while at < len(line):
            if not self._is_open:
                at = _behind_blanks(line, at)
                self._is_open = line.startswith('"', at)
                at += self._is_open
            if self._is_open:
                at = _closing(line, at)
                if at == _NOWHERE:
                    break
                self._is_open = False
                end = _behind_blanks(line, at)
                if end > at and (line.startswith((self._delimiter, "\r", "\n"), end) or end == len(line)):
                    pieces.append(line[kept:at])
                    kept = end
            at = line.find(self._delimiter, at) + 1 or len(line)
        return "".join([*pieces, line[kept:]])


def _closing(line: str, at: int) -> int:
    """Returns what is behind the quote that closes the cell, or `_NOWHERE` where the line leaves it open."""
    while (quote := line.find('"', at)) != _NOWHERE:
        if not line.startswith('"', quote + 1):
            return quote + 1
        at = quote + 2
    return _NOWHERE


def _behind_blanks(line: str, at: int) -> int:
    while line.startswith(" ", at):
        at += 1
    return at
