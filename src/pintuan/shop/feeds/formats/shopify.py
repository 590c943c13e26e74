"""Shopify's product CSV: the rows of one product share a handle and follow each other.

The first row of a handle tells of the product; each row with an option value, a SKU or a price is a variant,
and a row with neither only adds a picture. Prices carry no currency. A variant is known by its handle and
option values, because its SKU may be empty or repeated.

Source: Shopify Help Center "Using CSV files to import and export products"
(help.shopify.com/en/manual/products/import-export/using-csv), and the column names of its newer template.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from pintuan.shop.catalog import limits
from pintuan.shop.feeds.formats.html_text import line_text
from pintuan.shop.feeds.formats.items import (
    UNREADABLE,
    BadRow,
    FeedItem,
    FeedRow,
    Note,
    RowRefused,
    attributes_of,
    cut,
    description_of,
    images_of,
    reason_of,
    text_of,
    title_of,
)
from pintuan.shop.feeds.formats.prices import price_of
from pintuan.shop.feeds.formats.tables import Row, Table

PRODUCT_ROWS_MAX = 3_000
"""Rows of one product that are held at a time; 250 pictures and 2,048 variants fit."""
PRODUCT_CHARS_MAX = 4_000_000
"""Text of the rows of one product that are held at a time."""
_POSITION_DIGITS_MAX = 6
_QUOTED_CHARS_MAX = 80

# The names in the newer template, and what the same columns are called in exports of the older one.
_NEWER_NAMES = {
    "url_handle": "handle",
    "description": "body_(html)",
    "sku": "variant_sku",
    "price": "variant_price",
    "compare-at_price": "variant_compare_at_price",
    "barcode": "variant_barcode",
    "product_image_url": "image_src",
    "variant_image_url": "variant_image",
    "published_on_online_store": "published",
    "weight_value_(grams)": "variant_grams",
}
_REQUIRED_COLUMNS = ("handle", "title", "variant_price")
_ONCE = ("handle", "title", "body_(html)", "variant_price", "variant_sku", "image_src")
_VARIANT_COLUMNS = ("option1_value", "variant_sku", "variant_price")
_OPTION_NUMBERS = (1, 2, 3)
_NO_OPTION = "Default Title"
# What the product's first row says of all its variants, and what each variant's row says of itself. What the
# merchant pays ("Cost per item") is nobody else's business.
_PRODUCT_ATTRIBUTES = {
    "vendor": "vendor",
    "product_category": "category",
    "type": "type",
    "tags": "tags",
    "published": "published",
    "status": "status",
}
# Any other status, such as draft, archived or unlisted, keeps a product out of the shop's lists.
_SHOWN_STATES = frozenset(("", "active"))
_UNPUBLISHED = frozenset(("false", "no", "0"))
_VARIANT_ATTRIBUTES = {
    "variant_compare_at_price": "compare_at_price",
    "variant_barcode": "barcode",
    "variant_grams": "grams",
}
_DIGEST_BYTES = 8


class _Product(NamedTuple):
    """What the first row of a handle says, with the pictures of all its rows."""

    handle: str
    title: str
    description: str
    images: tuple[str, ...]
    option_names: tuple[str, ...]
    attributes: dict[str, str]
    is_hidden: bool


def is_shopify(header: Sequence[str]) -> bool:
    """Says whether the header is that of a Shopify export; neither Google nor Meta name a handle."""
    return "title" in header and any(name in header for name in ("handle", "url_handle"))


def read_shopify_table(table: Table, currency: str) -> Iterator[FeedRow]:
    """Yields the variants of each product, and the rows that cannot be kept.

    Raises `FeedError` for columns that are missing.
    """
    if "url_handle" in table.header:
        table.header = [_NEWER_NAMES.get(name, name) for name in table.header]
    table.require(_REQUIRED_COLUMNS, once=_ONCE)
    handles_seen: set[int] = set()
    rows: list[Row] = []
    chars = 0
    for row in table.rows():
        if isinstance(row, BadRow):
            yield row
        elif not row.cells.get("handle"):
            yield BadRow(row.line, "has no handle")
        elif rows and row.cells["handle"] == rows[0].cells["handle"]:
            chars += _chars_of(row)
            if len(rows) >= PRODUCT_ROWS_MAX:
                yield BadRow(row.line, f"is beyond the {PRODUCT_ROWS_MAX} rows a product may have")
            elif chars > PRODUCT_CHARS_MAX:
                yield BadRow(row.line, f"is beyond the {PRODUCT_CHARS_MAX} characters a product may have")
            else:
                rows.append(row)
        else:
            yield from _items_of(rows, currency, handles_seen)
            rows, chars = [row], _chars_of(row)
    yield from _items_of(rows, currency, handles_seen)


def _chars_of(row: Row) -> int:
    return sum(map(len, row.cells.values()))


def _items_of(rows: list[Row], currency: str, handles_seen: set[int]) -> Iterator[FeedRow]:
    if not rows:
        return
    handle = rows[0].cells["handle"]
    if hash(handle) in handles_seen:
        yield from (
            BadRow(row.line, f"continues {handle[:_QUOTED_CHARS_MAX]!r}, whose rows must follow each other")
            for row in rows
        )
        return
    handles_seen.add(hash(handle))
    images, notes = _pictures_of(rows)
    try:
        product = _product_of(rows, images, notes)
    except UNREADABLE as error:
        yield BadRow(rows[0].line, reason_of(error))
        yield from (
            BadRow(row.line, f"belongs to the product of line {rows[0].line}, which cannot be kept")
            for row in rows[1:]
        )
        return
    yield from notes
    yield from _variants_of(product, _variant_rows(rows), currency)


def _variant_rows(rows: list[Row]) -> list[Row]:
    """Returns the rows that are a variant each.

    Others add pictures, or say of the product what its variants below have in common.
    """
    variants = [row for row in rows[1:] if any(row.cells.get(name) for name in _VARIANT_COLUMNS)]
    first = rows[0].cells
    has_own = first.get("variant_price") or first.get("variant_sku")
    is_heading = not has_own and first.get("option1_value", _NO_OPTION) == _NO_OPTION
    return variants if is_heading and variants else [rows[0], *variants]


def _pictures_of(rows: list[Row]) -> tuple[tuple[str, ...], list[Note]]:
    """Returns the product's pictures in the order the feed gives them, and what was left out of them."""
    found: list[tuple[int, str]] = []
    notes: list[Note] = []
    for ordinal, row in enumerate(rows, start=1):
        position = row.cells.get("image_position", "")
        is_place = position.isascii() and position.isdigit() and len(position) <= _POSITION_DIGITS_MAX
        place = int(position) if is_place else ordinal
        texts: list[str] = []
        found += [(place, image) for image in images_of([row.cells.get("image_src", "")], texts)]
        notes += [Note(row.line, text) for text in texts]
    images = tuple(dict.fromkeys(image for _, image in sorted(found, key=lambda picture: picture[0])))
    if len(images) > limits.IMAGES_MAX:
        notes.append(
            Note(rows[0].line, f"has more than {limits.IMAGES_MAX} images; the others were left out")
        )
    return images[: limits.IMAGES_MAX], notes


def _product_of(rows: list[Row], images: tuple[str, ...], notes: list[Note]) -> _Product:
    """Returns what the rows say of their product; each thing is told by the first row that does."""
    line = rows[0].line
    cells = {name: cell for row in reversed(rows) for name, cell in row.cells.items()}
    texts: list[str] = []
    product = _Product(
        handle=text_of(cells, "handle", limits.FEED_REF_CHARS_MAX),
        title=title_of(cells, "title", texts),
        description=description_of(cells.get("body_(html)", ""), texts),
        images=images,
        option_names=tuple(
            cut(
                line_text(cells.get(name, "")) or f"Option {number}",
                limits.OPTION_NAME_CHARS_MAX,
                name,
                texts,
            )
            for number in _OPTION_NUMBERS
            for name in (f"option{number}_name",)
        ),
        attributes=attributes_of(cells, _PRODUCT_ATTRIBUTES, texts),
        is_hidden=(
            cells.get("status", "").lower() not in _SHOWN_STATES
            or cells.get("published", "").lower() in _UNPUBLISHED
        ),
    )
    notes += [Note(line, text) for text in texts]
    return product


def _variants_of(product: _Product, rows: Sequence[Row], currency: str) -> Iterator[FeedRow]:
    sku_counts = Counter(_sku_of(row) for row in rows)
    lines: dict[str, int] = {}
    for row in rows:
        notes: list[str] = []
        try:
            item = _item(product, row, currency, sku_counts, notes)
        except UNREADABLE as error:
            yield BadRow(row.line, reason_of(error))
            continue
        # Two variants of one SKU can come of an option value that reads like a SKU made from others.
        taken = next((lines[known] for known in (item.item_ref, item.sku) if known in lines), None)
        if taken is not None:
            yield BadRow(row.line, f"has the options or the SKU of line {taken}")
            continue
        lines[item.item_ref] = lines[item.sku] = row.line
        yield item
        yield from (Note(row.line, text) for text in notes)


def _options_of(product: _Product, row: Row) -> list[tuple[str, str]]:
    options = [
        (name, line_text(row.cells[column]))
        for number, name in zip(_OPTION_NUMBERS, product.option_names, strict=True)
        for column in (f"option{number}_value",)
        if line_text(row.cells.get(column, ""))
    ]
    return [] if [value for _, value in options] == [_NO_OPTION] else options


def _sku_of(row: Row) -> str:
    # Exports put an apostrophe before numbers, so that spreadsheets keep their zeros.
    return row.cells.get("variant_sku", "").removeprefix("'")


def _item(
    product: _Product, row: Row, currency: str, sku_counts: Mapping[str, int], notes: list[str]
) -> FeedItem:
    options = _options_of(product, row)
    values = [value for _, value in options]
    sku = _sku_of(row)
    is_usable = 0 < len(sku) <= limits.SKU_CHARS_MAX and sku.isprintable() and sku_counts[sku] == 1
    if not row.cells.get("variant_price"):
        raise RowRefused("has no variant_price")
    price = price_of(row.cells["variant_price"], currency)
    attributes = product.attributes | attributes_of(row.cells, _VARIANT_ATTRIBUTES, notes)
    if "barcode" in attributes:
        attributes["barcode"] = attributes["barcode"].removeprefix("'")
    return FeedItem(
        line=row.line,
        item_ref=f"shopify:{product.handle}:{_digest(values)}",
        group_ref=f"shopify:{product.handle}",
        sku=sku if is_usable else _sku_from(product.handle, values),
        title=product.title,
        variant_title=(" / ".join(values) or product.title)[: limits.TITLE_CHARS_MAX],
        description=product.description,
        images=product.images,
        variant_images=images_of([row.cells.get("variant_image", "")], notes),
        options=tuple(
            (name, cut(value, limits.OPTION_VALUE_CHARS_MAX, name, notes)) for name, value in options
        ),
        list_price_minor=price.amount_minor,
        currency=price.currency,
        currency_assumed=price.is_assumed,
        attributes=attributes,
        is_hidden=product.is_hidden,
    )


def _sku_from(handle: str, values: list[str]) -> str:
    """Returns a SKU that is the same at every import; one too long keeps its beginning and a digest."""
    sku = "/".join([handle, *values])
    if len(sku) <= limits.SKU_CHARS_MAX:
        return sku
    digest = _digest([handle, *values])
    return f"{sku[: limits.SKU_CHARS_MAX - len(digest) - 1]}~{digest}"


def _digest(values: list[str]) -> str:
    return blake2b(json.dumps(values).encode(), digest_size=_DIGEST_BYTES).hexdigest()
