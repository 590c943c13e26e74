"""What every feed yields, and the rules its values keep whatever the format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import structlog

from pintuan.base.wire.patterns import IMAGE_URL_PATTERN
from pintuan.shop.catalog import limits
from pricing.currency import InvalidAmount, UnknownCurrency, exponent, parse_major

_IMAGE_URL = re.compile(IMAGE_URL_PATTERN)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# No price that could be kept is written with as many characters.
_PRICE_CHARS_MAX = 40

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


def amount_of(digits: str, currency: str, *, shown: str) -> int:
    """Returns a price in minor units; raises `RowRefused`, which quotes `shown`."""
    if len(digits) > _PRICE_CHARS_MAX:
        raise RowRefused(f"has price {shown[:40]!r}…, which is longer than {_PRICE_CHARS_MAX} characters")
    try:
        # Shops write every price with two decimals; zeros beyond the currency's own change nothing.
        whole, _, fraction = digits.partition(".")
        kept = fraction[: exponent(currency)] + fraction[exponent(currency) :].rstrip("0")
        amount_minor = parse_major(f"{whole}.{kept}" if kept else whole, currency)
    except (InvalidAmount, UnknownCurrency) as error:
        raise RowRefused(f"has price {shown[:40]!r}: {error}") from error
    if amount_minor == 0:
        raise RowRefused("has a price of nothing")
    return amount_minor


def images_of(addresses: Iterable[str]) -> tuple[str, ...]:
    """Returns the addresses that are there, each once; raises `RowRefused` for one that is no address."""
    images = tuple(dict.fromkeys(address.strip() for address in addresses if address.strip()))
    if len(images) > limits.IMAGES_MAX:
        raise RowRefused(f"has more than {limits.IMAGES_MAX} images")
    for image in images:
        if len(image) > limits.IMAGE_URL_CHARS_MAX or _IMAGE_URL.match(image) is None:
            raise RowRefused(f"has an image that is no http(s) address: {image[:80]!r}")
    return images


def attributes_of(cells: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Returns the cells that are filled under the names attributes have, shortened where they run on.

    `names` maps columns to attributes.
    """
    return {
        attribute: cells[column][: limits.ATTRIBUTE_VALUE_CHARS_MAX]
        for column, attribute in names.items()
        if cells.get(column)
    }
