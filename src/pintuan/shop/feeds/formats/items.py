"""What every feed yields, and the rules its values keep whatever the format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

import msgspec
import structlog

from pintuan.shop.catalog import limits
from pintuan.shop.catalog.image_addresses import image_address
from pintuan.shop.feeds.formats.html_text import ELLIPSIS, line_text, plain_text

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_logger = structlog.get_logger("pintuan.shop.catalog")


class FeedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One sellable item of a feed; items with the same `group_ref` are the variants of one product.

    `item_ref` is what the item is known by when the feed is imported again. `images` are what the item brings
    to its product, `variant_images` its own. `options` are names and values in the feed's order. The price is
    in minor units of `currency`, which the feed named unless `currency_assumed`. A shop shows nobody what
    `is_hidden`.
    """

    line: int
    item_ref: str
    group_ref: str
    sku: str
    title: str
    variant_title: str
    description: str
    images: tuple[str, ...]
    variant_images: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    list_price_minor: int
    currency: str
    currency_assumed: bool
    attributes: dict[str, str]
    is_hidden: bool = False


class BadRow(NamedTuple):
    """A row that cannot be kept: where it starts, counted from 1, and why."""

    line: int
    reason: str


class Note(NamedTuple):
    """What a row was kept without, or shortened by: where it starts, counted from 1, and what."""

    line: int
    text: str


FeedRow: TypeAlias = FeedItem | BadRow | Note


class RowRefused(ValueError):
    """The row being read cannot be kept; the message says why."""


UNREADABLE = (RowRefused, ArithmeticError, AssertionError, LookupError, TypeError, ValueError)
"""What making an item of a row may raise: refusals, and what a library says of text nobody foresaw."""


def reason_of(error: Exception) -> str:
    """Returns what a bad row says of an `UNREADABLE`; one that is no refusal is a fault here, and logged."""
    if isinstance(error, RowRefused):
        return str(error)
    _logger.error("a row of a feed was not foreseen", exc_info=error)
    return f"cannot be read ({type(error).__name__})"


def text_of(cells: Mapping[str, str], name: str, chars_max: int) -> str:
    """Returns a cell that must be there, on one line and no longer than this; raises `RowRefused`."""
    text = cells.get(name, "")
    if not text:
        raise RowRefused(f"has no {name}")
    if len(text) > chars_max:
        raise RowRefused(f"has {name} longer than {chars_max} characters")
    if _CONTROL.search(text):
        raise RowRefused(f"has {name} with a line break or another control character")
    return text


def title_of(cells: Mapping[str, str], name: str, notes: list[str]) -> str:
    """Returns a cell that must be there as one line of text, cut where it runs on; raises `RowRefused`."""
    title = line_text(cells.get(name, ""))
    if not title:
        raise RowRefused(f"has no {name}")
    return cut(title, limits.TITLE_CHARS_MAX, name, notes)


def description_of(html: str, notes: list[str]) -> str:
    """Returns the text of a description, cut where it runs on."""
    text = plain_text(html, chars_max=limits.DESCRIPTION_CHARS_MAX)
    if text.endswith(ELLIPSIS) and len(text) == limits.DESCRIPTION_CHARS_MAX:
        notes.append(f"has a description longer than {limits.DESCRIPTION_CHARS_MAX} characters; it was cut")
    return text


def cut(text: str, chars_max: int, name: str, notes: list[str]) -> str:
    """Returns the text, with an ellipsis and a note where it is longer than this."""
    if len(text) <= chars_max:
        return text
    notes.append(f"has {name} longer than {chars_max} characters; it was cut")
    return f"{text[: chars_max - 1]}{ELLIPSIS}"


def images_of(addresses: Iterable[str], notes: list[str]) -> tuple[str, ...]:
    """Returns the addresses that are there, each once, with a note for each that is no address."""
    images: dict[str, None] = {}
    for text in addresses:
        if not text.strip():
            continue
        image = image_address(text)
        if image is None:
            notes.append(
                f"has an image that is no http(s) address, which was left out: {text.strip()[:80]!r}"
            )
        else:
            images[image] = None
    if len(images) > limits.IMAGES_MAX:
        notes.append(f"has more than {limits.IMAGES_MAX} images; the others were left out")
    return tuple(images)[: limits.IMAGES_MAX]


def attributes_of(cells: Mapping[str, str], names: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    """Returns the cells that are filled under the names attributes have, cut where they run on.

    `names` maps columns to attributes.
    """
    return {
        attribute: cut(cells[column], limits.ATTRIBUTE_VALUE_CHARS_MAX, column, notes)
        for column, attribute in names.items()
        if cells.get(column)
    }
