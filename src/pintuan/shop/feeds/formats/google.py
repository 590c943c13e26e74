"""Items by the names of Google's and Meta's product specifications, from a table or from elements.

Sources: Google Merchant Center "Product data specification" (support.google.com/merchants/answer/7052112) and
Meta "Supported fields for products" (facebook.com/business/help/120325381656392). Sale prices are not read:
on a deal the ladder is the discount.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pintuan.shop.catalog import limits
from pintuan.shop.feeds.formats.html_text import line_text
from pintuan.shop.feeds.formats.items import (
    UNREADABLE,
    BadRow,
    FeedItem,
    FeedRow,
    Note,
    attributes_of,
    cut,
    description_of,
    images_of,
    reason_of,
    text_of,
    title_of,
)
from pintuan.shop.feeds.formats.prices import price_of
from pintuan.shop.feeds.formats.tables import Table

REQUIRED_COLUMNS = ("id", "title", "price")
ATTRIBUTE_COLUMNS = (
    "brand",
    "gtin",
    "mpn",
    "color",
    "size",
    "material",
    "pattern",
    "link",
    "availability",
    "product_type",
    "google_product_category",
)
# The columns that tell the variants of a product apart, in the order they are named to shoppers.
_OPTION_COLUMNS = {"color": "Color", "size": "Size", "material": "Material", "pattern": "Pattern"}
_REPEATABLE_COLUMNS = frozenset({"additional_image_link"})
_ONCE = (*ATTRIBUTE_COLUMNS, "description", "image_link", "item_group_id")

# Meta's `status` and `visibility` with its older values, and what other software writes into them.
_STATE_COLUMNS = ("status", "visibility")
_HIDDEN_STATES = frozenset(("archived", "draft", "hidden", "staging"))


def is_google(header: Sequence[str]) -> bool:
    """Says whether a header has the columns every item needs."""
    return set(REQUIRED_COLUMNS) <= set(header)


def read_google_table(table: Table, currency: str) -> Iterator[FeedRow]:
    """Yields the items and bad rows of a table; raises `FeedError` for columns that are missing."""
    table.require(REQUIRED_COLUMNS, once=_ONCE)
    for row in table.rows(repeatable=_REPEATABLE_COLUMNS):
        if isinstance(row, BadRow):
            yield row
            continue
        # A comma inside an address must be written %2C (Google, additional_image_link).
        more_images = row.cells.get("additional_image_link", "").split(",")
        try:
            yield from google_item(row.line, row.cells, more_images, currency)
        except UNREADABLE as error:
            yield BadRow(row.line, reason_of(error))


def google_item(
    line: int, cells: Mapping[str, str], more_images: Iterable[str], currency: str
) -> Iterator[FeedRow]:
    """Yields the item that cells by column name describe, and what it is kept without.

    `currency` is that of a price which names none. Raises `RowRefused` before it yields anything.
    """
    notes: list[str] = []
    item_ref = text_of(cells, "id", limits.SKU_CHARS_MAX)
    title = title_of(cells, "title", notes)
    group_ref = text_of(cells, "item_group_id", limits.SKU_CHARS_MAX) if cells.get("item_group_id") else ""
    price = price_of(cells.get("price", ""), currency)
    options = tuple(
        (name, cut(line_text(cells[column]), limits.OPTION_VALUE_CHARS_MAX, column, notes))
        for column, name in _OPTION_COLUMNS.items()
        if line_text(cells.get(column, ""))
    )
    images = images_of([cells.get("image_link", ""), *more_images], notes)
    yield FeedItem(
        line=line,
        item_ref=item_ref,
        # The two kinds of reference share a column, and a shop may number items and groups alike.
        group_ref=f"group:{group_ref}" if group_ref else f"item:{item_ref}",
        sku=item_ref,
        title=title,
        variant_title=(" / ".join(value for _, value in options) or title)[: limits.TITLE_CHARS_MAX],
        description=description_of(cells.get("description", ""), notes),
        images=images,
        variant_images=images[: limits.VARIANT_IMAGES_MAX],
        options=options,
        list_price_minor=price.amount_minor,
        currency=price.currency,
        currency_assumed=price.is_assumed,
        attributes=attributes_of(cells, {column: column for column in ATTRIBUTE_COLUMNS}, notes),
        is_hidden=any(cells.get(column, "").lower() in _HIDDEN_STATES for column in _STATE_COLUMNS),
    )
    yield from (Note(line, text) for text in notes)
