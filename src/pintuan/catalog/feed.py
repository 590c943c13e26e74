"""Reads product feeds: CSV or TSV with the column names of Google's and Meta's product specifications.

Sources: Google Merchant Center "Product data specification" (support.google.com/merchants/answer/7052112) and
Meta "Supported fields for products" (facebook.com/business/help/120325381656392).

The reader streams: it holds one row, and a few bytes for each item id seen. It knows no database; what it
yields is either a `FeedItem` ready to be stored or a `BadRow` with the reason why not.

    FeedError       the feed as a whole cannot be read (encoding, header, size)
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from pintuan.catalog import limits
from pintuan.catalog.lines import FeedError, Lines, RowTooLong, open_text
from pricing.currency import InvalidAmount, UnknownCurrency, exponent, parse_major

__all__ = ["ROWS_MAX", "BadRow", "FeedError", "FeedItem", "read_feed"]

ROWS_MAX = 1_000_000
"""More rows than this are refused: every item id read is remembered to notice repeated ones."""

REQUIRED_COLUMNS = ("id", "title", "price")
ATTRIBUTE_COLUMNS = ("brand", "gtin", "mpn", "color", "size", "material", "pattern", "link", "availability")
# The columns that tell the variants of a product apart, in the order they are named to shoppers.
_VARIANT_COLUMNS = ("color", "size", "material", "pattern")
_REPEATABLE_COLUMNS = {"additional_image_link"}
_ATTRIBUTE_CHARS_MAX = 2_000
_DELIMITERS = "\t,;|"

_PRICE = re.compile(r"([0-9.,]+)\s*([A-Za-z]{3})")
_IMAGE_URL = re.compile(limits.IMAGE_URL_PATTERN)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class FeedItem(msgspec.Struct, frozen=True):
    """One sellable item of a feed; items with the same `group_ref` are the variants of one product.

    `item_ref` is the feed's id of the item and its SKU. The price is in minor units of `currency`.
    """

    line: int
    item_ref: str
    group_ref: str
    title: str
    variant_title: str
    description: str
    images: tuple[str, ...]
    list_price_minor: int
    currency: str
    attributes: dict[str, str]


class BadRow(NamedTuple):
    """A row that cannot be kept: where it starts, counted from 1, and why."""

    line: int
    reason: str


class _RowRefused(ValueError):
    """The row being read cannot be kept; the message says why."""


def read_feed(stream: io.BufferedReader[Any]) -> Iterator[FeedItem | BadRow]:
    """Yields every row of the feed in order, as an item or as a bad row.

    `stream` is buffered by `lines.HEAD_BYTES`, need not be seekable, and is closed with the iterator. Sale
    prices are not read: on a deal the ladder is the discount. Raises `FeedError`, possibly after rows were
    yielded.
    """
    with open_text(stream) as text:
        lines = Lines(text)
        delimiter, header = _read_header(lines)
        seen: set[int] = set()
        for row_no, row in enumerate(_rows(lines, delimiter, len(header)), start=1):
            line = lines.row_span[0]
            if row_no > ROWS_MAX:
                raise FeedError(
                    f"the feed has more than {ROWS_MAX} rows; the rest, from line {line}, was not read"
                )
            yield row if isinstance(row, BadRow) else _item_or_bad_row(line, _cells(header, row), seen)


def _item_or_bad_row(line: int, cells: dict[str, str], seen: set[int]) -> FeedItem | BadRow:
    try:
        item = _item(line, cells)
    except _RowRefused as refused:
        return BadRow(line, str(refused))
    if hash(item.item_ref) in seen:
        return BadRow(line, f"repeats the id {item.item_ref!r}")
    seen.add(hash(item.item_ref))
    return item


def _read_header(lines: Lines) -> tuple[str, list[str]]:
    for line in lines:
        # Meta's templates start with comment lines that explain the columns.
        if line.strip() and not line.startswith("#"):
            break
        lines.start_row()
    else:
        raise FeedError("the feed is empty; its first line must name the columns")
    delimiter = max(_DELIMITERS, key=line.count)
    header = [_column_name(cell) for cell in next(csv.reader([line], delimiter=delimiter))]
    missing = [name for name in REQUIRED_COLUMNS if name not in header]
    if missing:
        raise FeedError(f"the header has no column {', '.join(missing)}; it names {', '.join(header)[:200]}")
    known = {*REQUIRED_COLUMNS, *ATTRIBUTE_COLUMNS, "description", "image_link", "item_group_id"}
    repeated = sorted(name for name in known if header.count(name) > 1)
    if repeated:
        raise FeedError(f"the header names {', '.join(repeated)} more than once")
    return delimiter, header


def _column_name(cell: str) -> str:
    # "Image Link", "image link" and "g:image_link" are all in use for the same column.
    return cell.strip().lower().removeprefix("g:").replace(" ", "_")


def _rows(lines: Lines, delimiter: str, width: int) -> Iterator[list[str] | BadRow]:
    """Yields the cells of each row that has the shape of the header, and the others as bad rows.

    When a row of several lines comes out misshapen, a quote was left open: its first line is given up and the
    others are read again, so that one stray quote costs one row.
    """
    # In tab-separated feeds `"Best" shirt` is common and harmless; elsewhere a quote out of place hides rows.
    strict = delimiter != "\t"
    reader = csv.reader(lines, delimiter=delimiter, strict=strict)
    while True:
        lines.start_row()
        row, reason = _next_row(reader, lines, width)
        if row is None:
            return
        first, last = lines.row_span
        if reason is not None:
            if last > first:
                lines.retry_after_first()
                reader = csv.reader(lines, delimiter=delimiter, strict=strict)
            yield BadRow(first, reason)
        elif any(cell.strip() for cell in row):
            yield row


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


def _cells(header: list[str], row: list[str]) -> dict[str, str]:
    cells: dict[str, str] = {}
    for name, cell in zip(header, row, strict=False):
        if name in _REPEATABLE_COLUMNS and cells.get(name):
            cells[name] = f"{cells[name]},{cell.strip()}"
        else:
            cells[name] = cell.strip()
    return cells


def _item(line: int, cells: dict[str, str]) -> FeedItem:
    item_ref = _text(cells, "id", limits.SKU_CHARS_MAX)
    title = _text(cells, "title", limits.TITLE_CHARS_MAX)
    description = cells.get("description", "")
    if len(description) > limits.DESCRIPTION_CHARS_MAX:
        raise _RowRefused(f"has a description longer than {limits.DESCRIPTION_CHARS_MAX} characters")
    group_ref = _text(cells, "item_group_id", limits.SKU_CHARS_MAX) if cells.get("item_group_id") else ""
    list_price_minor, currency = _price(cells.get("price", ""))
    attributes = {name: cells[name][:_ATTRIBUTE_CHARS_MAX] for name in ATTRIBUTE_COLUMNS if cells.get(name)}
    differences = [cells[name] for name in _VARIANT_COLUMNS if cells.get(name)]
    return FeedItem(
        line=line,
        item_ref=item_ref,
        # The two kinds of reference share a column, and a shop may number items and groups alike.
        group_ref=f"group:{group_ref}" if group_ref else f"item:{item_ref}",
        title=title,
        variant_title=(" / ".join(differences) or title)[: limits.TITLE_CHARS_MAX],
        description=description,
        images=_images(cells),
        list_price_minor=list_price_minor,
        currency=currency,
        attributes=attributes,
    )


def _text(cells: dict[str, str], name: str, chars_max: int) -> str:
    text = cells.get(name, "")
    if not text:
        raise _RowRefused(f"has no {name}")
    if len(text) > chars_max:
        raise _RowRefused(f"has {name} longer than {chars_max} characters")
    if _CONTROL.search(text):
        raise _RowRefused(f"has {name} with a line break or another control character")
    return text


def _price(text: str) -> tuple[int, str]:
    match = _PRICE.fullmatch(text)
    if match is None:
        raise _RowRefused(
            f"has price {text[:40]!r}, which must be like '19.99 USD'" if text else "has no price"
        )
    digits, currency = match[1], match[2].upper()
    try:
        # Shops write every price with two decimals; zeros beyond the currency's own change nothing.
        whole, _, fraction = digits.partition(".")
        kept = fraction[: exponent(currency)] + fraction[exponent(currency) :].rstrip("0")
        amount_minor = parse_major(f"{whole}.{kept}" if kept else whole, currency)
    except (InvalidAmount, UnknownCurrency) as error:
        raise _RowRefused(f"has price {text[:40]!r}: {error}") from error
    if amount_minor == 0:
        raise _RowRefused("has a price of nothing")
    return amount_minor, currency


def _images(cells: dict[str, str]) -> tuple[str, ...]:
    # A comma inside an address must be written %2C (Google, additional_image_link).
    addresses = [cells.get("image_link", ""), *cells.get("additional_image_link", "").split(",")]
    images = tuple(dict.fromkeys(address.strip() for address in addresses if address.strip()))
    if len(images) > limits.IMAGES_MAX:
        raise _RowRefused(f"has more than {limits.IMAGES_MAX} images")
    for image in images:
        if len(image) > limits.IMAGE_URL_CHARS_MAX or _IMAGE_URL.match(image) is None:
            raise _RowRefused(f"has an image that is no http(s) address: {image[:80]!r}")
    return images
