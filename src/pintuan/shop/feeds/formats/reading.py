"""Reads a feed in whichever format its content shows, a piece at a time.

The reader holds one product's rows, and a few bytes for each item seen. It knows no database; what it yields
is either a `FeedItem` ready to be stored or a `BadRow` with the reason why not.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import Any

from pintuan.shop.feeds.formats.google import read_google_table
from pintuan.shop.feeds.formats.halt import Halt
from pintuan.shop.feeds.formats.items import BadRow, FeedItem
from pintuan.shop.feeds.formats.lines import HEAD_BYTES, FeedError, Lines, open_text
from pintuan.shop.feeds.formats.rss import read_rss
from pintuan.shop.feeds.formats.shopify import is_shopify, read_shopify_table
from pintuan.shop.feeds.formats.tables import Table

ROWS_MAX = 1_000_000
"""More rows than this are refused: every item read is remembered to notice repeated ones."""


CURRENCY_ASSUMED = "USD"


def read_feed(
    stream: io.BufferedReader[Any], *, currency: str = CURRENCY_ASSUMED, halt: Halt | None = None
) -> Iterator[FeedItem | BadRow]:
    """Yields every row of the feed, as an item or as a bad row.

    `stream` is buffered by `HEAD_BYTES`, need not be seekable, and is closed with the iterator. `currency` is
    that of prices in a format that names none. Raises `FeedError`, possibly after rows were yielded, and when
    `halt` says so.
    """
    halt = halt or Halt()
    seen: set[int] = set()
    for row_no, row in enumerate(_rows(stream, currency, halt), start=1):
        halt.check(row.line)
        if row_no > ROWS_MAX:
            raise FeedError(
                f"the feed has more than {ROWS_MAX} rows; the rest, from line {row.line}, was not read"
            )
        if isinstance(row, FeedItem):
            if hash(row.item_ref) in seen:
                yield BadRow(row.line, f"repeats the id {row.item_ref!r}")
                continue
            seen.add(hash(row.item_ref))
        yield row


def _rows(stream: io.BufferedReader[Any], currency: str, halt: Halt) -> Iterator[FeedItem | BadRow]:
    if _is_markup(stream.peek(HEAD_BYTES)[:HEAD_BYTES]):
        with stream:
            yield from read_rss(stream, halt.check)
        return
    with open_text(stream) as text:
        table = Table(Lines(text, halt.check))
        if is_shopify(table):
            yield from read_shopify_table(table, currency)
        else:
            yield from read_google_table(table)


def _is_markup(head: bytes) -> bool:
    """No table's header starts with the character that every XML document starts with."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", "replace").encode()
    return head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<")
