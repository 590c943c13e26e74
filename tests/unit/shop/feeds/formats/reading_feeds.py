"""Feeds as text, and what reading them yields."""

from __future__ import annotations

import io

from pintuan.shop.feeds.formats import HEAD_BYTES, BadRow, FeedItem, read_feed


def read(content: bytes | str, *, currency: str = "USD") -> list[FeedItem | BadRow]:
    """Every row of the feed."""
    data = content.encode() if isinstance(content, str) else content
    return list(read_feed(io.BufferedReader(io.BytesIO(data), HEAD_BYTES), currency=currency))


def items(rows: list[FeedItem | BadRow]) -> list[FeedItem]:
    """The items among the rows."""
    return [row for row in rows if isinstance(row, FeedItem)]


def bad_rows(rows: list[FeedItem | BadRow]) -> list[BadRow]:
    """The bad rows among them."""
    return [row for row in rows if isinstance(row, BadRow)]
