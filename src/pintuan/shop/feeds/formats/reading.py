"""Reads a feed in whichever format its content shows, a piece at a time.

The reader holds one product's rows, and a few bytes for each item seen. It knows no database; what it yields
is either a `FeedItem` ready to be stored or a `BadRow` with the reason why not.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

from pintuan.shop.feeds.formats.encodings import declared_encoding, xml_encoding
from pintuan.shop.feeds.formats.google import is_google, read_google_table
from pintuan.shop.feeds.formats.halt import Halt
from pintuan.shop.feeds.formats.items import BadRow, FeedItem, FeedRow, Note
from pintuan.shop.feeds.formats.lines import HEAD_BYTES, FeedError, Lines, open_text
from pintuan.shop.feeds.formats.rss import read_rss
from pintuan.shop.feeds.formats.shopify import is_shopify, read_shopify_table
from pintuan.shop.feeds.formats.tables import Table

ROWS_MAX = 1_000_000
"""More rows than this are refused: every item read is remembered to notice repeated ones."""


CURRENCY_ASSUMED = "USD"


def read_feed(
    stream: io.BufferedReader[Any],
    *,
    currency: str = CURRENCY_ASSUMED,
    encoding: str | None = None,
    halt: Halt | None = None,
) -> Iterator[FeedRow]:
    """Yields every row of the feed, as an item or as a bad row, and notes on what items are kept without.

    `stream` is buffered by `HEAD_BYTES`, need not be seekable, and is closed with the iterator. `currency` is
    that of prices that name none, `encoding` what the feed was said to be in, by `encoding_of`. Raises
    `FeedError`, possibly after rows were yielded, and when `halt` says so.
    """
    halt = halt or Halt()
    seen: set[int] = set()
    count = 0
    for row in _rows(stream, currency, encoding, halt):
        if isinstance(row, Note):
            yield row
            continue
        halt.check(row.line)
        count += 1
        if count > ROWS_MAX:
            raise FeedError(
                f"the feed has more than {ROWS_MAX} rows; the rest, from line {row.line}, was not read"
            )
        if isinstance(row, FeedItem):
            if hash(row.item_ref) in seen:
                yield BadRow(row.line, f"repeats the id {row.item_ref!r}")
                continue
            seen.add(hash(row.item_ref))
        yield row


def _rows(
    stream: io.BufferedReader[Any], currency: str, encoding: str | None, halt: Halt
) -> Iterator[FeedRow]:
    head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]
    declared = declared_encoding(head, encoding)
    if _is_markup(head, declared):
        with stream:
            yield from read_rss(
                stream, halt.check, currency=currency, encoding=declared or xml_encoding(head)
            )
        return
    with open_text(stream, declared) as text:
        table = Table(Lines(text, halt.check), _is_header)
        if is_shopify(table.header):
            yield from read_shopify_table(table, currency)
        else:
            yield from read_google_table(table, currency)


def _is_header(names: Sequence[str]) -> bool:
    return is_shopify(names) or is_google(names)


def _is_markup(head: bytes, encoding: str | None) -> bool:
    """No table's header starts with the character that every XML document starts with."""
    text = head.decode(encoding or "utf-8", "replace").lstrip("\ufeff\0 \t\r\n")
    return text.startswith("<")
