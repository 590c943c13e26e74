"""Feeds as text, and what reading them yields."""

from __future__ import annotations

import io

from pintuan.shop.feeds.formats import HEAD_BYTES, BadRow, FeedItem, FeedRow, Note, read_feed


def read(content: bytes | str, *, currency: str = "USD", encoding: str | None = None) -> list[FeedRow]:
    """Every row of the feed."""
    data = content.encode() if isinstance(content, str) else content
    stream = io.BufferedReader(io.BytesIO(data), HEAD_BYTES)
    return list(read_feed(stream, currency=currency, encoding=encoding))


def items(rows: list[FeedRow]) -> list[FeedItem]:
    """The items among the rows."""
    return [row for row in rows if isinstance(row, FeedItem)]


def bad_rows(rows: list[FeedRow]) -> list[BadRow]:
    """The bad rows among them."""
    return [row for row in rows if isinstance(row, BadRow)]


def notes(rows: list[FeedRow]) -> list[Note]:
    """What the items among them are kept without."""
    return [row for row in rows if isinstance(row, Note)]
