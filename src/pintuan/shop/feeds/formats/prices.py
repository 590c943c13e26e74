"""Prices as shops write them, in minor units of their currency."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pintuan.shop.feeds.formats.items import RowRefused
from pricing.currency import InvalidAmount, UnknownCurrency, exponent, parse_major

# No price that could be kept is written with as many characters.
_PRICE_CHARS_MAX: Final = 40
_THOUSANDS_DIGITS: Final = 3
_PRICE: Final = re.compile(r"([^0-9.,]*)([0-9.,](?:[0-9.,'’\s]*[0-9.,])?)([^0-9.,]*)")
_CODE: Final = re.compile(r"[A-Za-z]{3}")
_SIGNS: Final = {
    "€": "EUR",
    "£": "GBP",
    "₹": "INR",
    "₩": "KRW",
    "₺": "TRY",
    "₫": "VND",
    "₪": "ILS",
    "₴": "UAH",
    "₱": "PHP",
    "₦": "NGN",
    "฿": "THB",
    "zł": "PLN",
    "R$": "BRL",
    "US$": "USD",
}
# Signs of several currencies, which a price may bear whose currency is known otherwise.
_SHARED_SIGNS: Final = {
    "$": frozenset(("USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "MXN", "CLP", "COP", "ARS")),
    "¥": frozenset(("JPY", "CNY")),
    "￥": frozenset(("JPY", "CNY")),
    "kr": frozenset(("SEK", "NOK", "DKK", "ISK")),
}
# Groups of three; in India those before the last one are of two.
_IN_GROUPS: Final = {
    sign: re.compile(rf"[0-9]{{1,3}}(?:{sign}[0-9]{{2,3}})*{sign}[0-9]{{3}}")
    for sign in (",", r"\.", r"[\s'’]")
}


class Price(NamedTuple):
    """A price in minor units; its currency was assumed where the feed did not name it."""

    amount_minor: int
    currency: str
    is_assumed: bool


def price_of(text: str, currency: str) -> Price:
    """Returns the price that is plainly meant; `currency` is that of one which names none.

    Raises `RowRefused`, also for digits that may be read in two ways.
    """
    if len(text) > _PRICE_CHARS_MAX:
        raise RowRefused(f"has price {text[:40]!r}…, which is longer than {_PRICE_CHARS_MAX} characters")
    match = _PRICE.fullmatch(text.strip())
    if match is None:
        raise RowRefused(f"has price {text!r}, which must be like '19.99 USD'" if text else "has no price")
    before, number, after = match.groups()
    named = _currency_of(before.strip(), after.strip(), currency, shown=text)
    try:
        amount_minor = _amount_of(number, named or currency, shown=text)
    except (InvalidAmount, UnknownCurrency) as error:
        raise RowRefused(f"has price {text!r}: {error}") from error
    if amount_minor == 0:
        raise RowRefused("has a price of nothing")
    return Price(amount_minor, named or currency, is_assumed=named is None)


def _currency_of(before: str, after: str, assumed: str, *, shown: str) -> str | None:
    """Returns the currency that is named by a code, or by a sign that is of no other one."""
    code = next((mark.upper() for mark in (before, after) if _CODE.fullmatch(mark)), None)
    signs = [mark for mark in (before, after) if mark and not _CODE.fullmatch(mark)]
    if len(signs) > 1 or (code and before and after and not signs):
        raise RowRefused(f"has price {shown!r}, which must be like '19.99 USD'")
    for sign in signs:
        if sign in _SIGNS and code in (None, _SIGNS[sign]):
            return _SIGNS[sign]
        if sign not in _SHARED_SIGNS:
            raise RowRefused(f"has price {shown!r}, which must be like '19.99 USD'")
        if (code or assumed) not in _SHARED_SIGNS[sign]:
            raise RowRefused(f"has price {shown!r}, whose sign is that of several currencies; write its code")
    return code


def _amount_of(number: str, currency: str, *, shown: str) -> int:
    digits = _plain(number, currency, shown=shown)
    # Shops write every price with two decimals; zeros beyond the currency's own change nothing.
    whole, _, fraction = digits.partition(".")
    kept = fraction[: exponent(currency)] + fraction[exponent(currency) :].rstrip("0")
    return parse_major(f"{whole}.{kept}" if kept else whole, currency)


def _plain(number: str, currency: str, *, shown: str) -> str:
    """Returns the number without signs between thousands and with a period before its decimals."""
    decimal_at = max(number.rfind("."), number.rfind(","))
    decimal = number[decimal_at] if decimal_at >= 0 else ""
    whole, fraction = (number[:decimal_at], number[decimal_at + 1 :]) if decimal else (number, "")
    if decimal and decimal in whole:
        # A sign that is there twice stands between thousands.
        return _without_groups(number, shown=shown)
    if decimal == "," and len(fraction) == _THOUSANDS_DIGITS and whole.isdigit():
        if exponent(currency) > 0:
            raise RowRefused(f"has price {shown!r}, whose comma may be before decimals or thousands")
        return whole + fraction
    return (
        f"{_without_groups(whole, shown=shown)}.{fraction}"
        if decimal
        else _without_groups(whole, shown=shown)
    )


def _without_groups(whole: str, *, shown: str) -> str:
    if whole.isdigit() or not whole:
        return whole
    if not any(grouped.fullmatch(whole) for grouped in _IN_GROUPS.values()):
        raise RowRefused(f"has price {shown!r}, which must be like '19.99 USD'")
    return re.sub("[^0-9]", "", whole)
