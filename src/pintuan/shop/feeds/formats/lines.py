"""The physical lines of a feed, each of bounded length, with what is wrong with its bytes.

A feed is written by spreadsheets and shop systems on somebody else's machine. One broken byte spoils one row;
a file that is not text at all is refused as a whole.
"""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

LINE_CHARS_MAX = 1 << 20
# What reading again may come to: two rows of the greatest length, and twice what was read for the first time.
# A feed in which every line opens a quote is read three times in all, and not once for each of its lines.
REREAD_CHARS_FREE = 2 * LINE_CHARS_MAX
REREADS_PER_CHAR = 2
HEAD_BYTES = 64 * 1024

# What undecodable bytes turn into below, and the mark other programs leave where text was already lost.
_LOST_TEXT = re.compile("[\udc80-\udcff\ufffd]")


class FeedError(ValueError):
    """The feed cannot be read at all; the message is one line fit for the person who brought it."""


class RowTooLong(ValueError):
    """A row goes on over so many lines that its opening quote must have been left open."""


def open_text(stream: io.BufferedReader[Any], encoding: str | None = None) -> io.TextIOWrapper:
    """Decodes the stream in the encoding it is declared to be in, or as UTF-8.

    Raises `FeedError` when the beginning shows another encoding: zero bytes or a majority of lines that are
    not of it.
    """
    head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]
    if encoding is not None and encoding.startswith("utf-16"):
        return io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
    encoding = encoding or "utf-8"
    if b"\0" in head or _is_mostly_foreign(head, encoding):
        if encoding != "utf-8":
            raise FeedError(f"the encoding is not {encoding}, as it is declared")
        raise FeedError("the encoding is not UTF-8; save the feed as UTF-8 and import it again")
    decoded_as = "utf-8-sig" if encoding == "utf-8" else encoding
    return io.TextIOWrapper(stream, encoding=decoded_as, errors="surrogateescape", newline="")


def _is_mostly_foreign(head: bytes, encoding: str) -> bool:
    lines = [line for line in head.splitlines()[1:] if line.strip()] or head.splitlines()
    foreign = sum(1 for line in lines if not _is_text(line, encoding))
    # The last line of the head may be cut inside a character.
    return foreign * 2 > len(lines) + (len(head) >= HEAD_BYTES)


def _is_text(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


class Lines:
    """Iterates over the lines of a text stream and remembers those of the row being read.

    `csv.reader` pulls lines as a row needs them; `row_span` and `flaw` then tell where the row was and what
    was wrong with its text. `retry_after_first` hands all but the first line of the row out once more, for a
    row whose opening quote was never closed. A row holds at most two lines' worth of `LINE_CHARS_MAX`; beyond
    that, pulling another line raises `RowTooLong`. `check` is called at every line with its number,
    and may raise.
    """

    def __init__(self, text: io.TextIOBase, check: Callable[[int], None] = lambda _: None) -> None:
        self._text = text
        encoding = getattr(text, "encoding", None) or "utf-8"
        self._encoding = "UTF-8" if encoding.startswith("utf-8") else encoding
        self._check = check
        self._reread_chars_left = REREAD_CHARS_FREE
        self._pending: deque[str] = deque()
        self._row: list[str] = []
        self._row_chars = 0
        self._read = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._row_chars > LINE_CHARS_MAX:
            raise RowTooLong
        self._check(self._read + 1)
        if self._pending:
            line = self._pending.popleft()
        else:
            line = self._text.readline(LINE_CHARS_MAX)
            self._reread_chars_left += REREADS_PER_CHAR * len(line)
        if not line:
            raise StopIteration
        self._read += 1
        self._row.append(line)
        self._row_chars += len(line)
        while len(line) == LINE_CHARS_MAX and not line.endswith(("\n", "\r")):
            self._check(self._read)
            line = self._text.readline(LINE_CHARS_MAX)
        return self._row[-1]

    def start_row(self) -> None:
        """Forgets the lines of the row before."""
        self._row.clear()
        self._row_chars = 0

    @property
    def row_lines(self) -> Sequence[str]:
        """The lines of the row being read, so far."""
        return self._row

    @property
    def row_span(self) -> tuple[int, int]:
        """The first and last line of the row, counted from 1."""
        return self._read - len(self._row) + 1, self._read

    @property
    def flaw(self) -> str | None:
        """What makes the row's text unusable, or None."""
        for line in self._row:
            if len(line) == LINE_CHARS_MAX:
                return f"is longer than {LINE_CHARS_MAX} characters"
            if _LOST_TEXT.search(line):
                return f"has characters that are not valid {self._encoding}"
            if "\0" in line:
                return "has a zero byte"
        return None

    def retry_after_first(self) -> bool:
        """Puts all but the first line of the row back, to be read as rows of their own.

        Returns False, and puts nothing back, where the feed was read again often enough.
        """
        again_chars = self._row_chars - len(self._row[0])
        if again_chars > self._reread_chars_left:
            return False
        self._reread_chars_left -= again_chars
        again = self._row[1:]
        self._pending.extendleft(reversed(again))
        self._read -= len(again)
        del self._row[1:]
        return True
