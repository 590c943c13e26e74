"""Amounts, times and spans as each language writes them (Unicode CLDR, by way of Babel)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal

from babel.dates import format_skeleton, format_time
from babel.numbers import NumberPattern, format_percent, parse_pattern
from babel.units import format_unit

from pintuan.base.locales.negotiation import Language, locale_of
from pintuan.base.wire.money import Money
from pricing.currency import exponent

_PATTERN_COUNT_MAX: Final = 64
# CLDR wants a space between a currency's letters and the digits; Babel leaves it out.
_CODE_BEFORE_DIGIT: Final = re.compile(r"(?<=[A-Z])(?=\d)")
# CLDR has no short hour of Spanish, for which Babel takes a plural; in other languages the narrow form lacks.
_UNIT_LENGTHS: Final[dict[Language, Literal["narrow"]]] = {"es": "narrow"}
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 24 * _HOUR_S


def money(value: Money, language: Language) -> str:
    """Returns an amount as the language writes it: `$19.99`, `19,99 $US`, `₩1,500`.

    The decimals are those of ISO 4217, which CLDR's habits (it drops those of the forint) may not hide.
    """
    decimals = exponent(value.currency)
    amount = Decimal(value.amount).scaleb(-decimals)
    pattern = _currency_pattern(language, decimals)
    text: str = pattern.apply(amount, locale_of(language), currency=value.currency, currency_digits=False)
    return _CODE_BEFORE_DIGIT.sub("\u00a0", text)


def percent(part: int, whole: int, language: Language) -> str:
    """Returns a share in whole per cent, as the language writes it."""
    return format_percent(Decimal(part) / Decimal(whole), format=None, locale=locale_of(language))


def clock_time(instant: datetime, language: Language) -> str:
    """Returns date and time of day in UTC, which is named: the reader's own time zone is not known here."""
    moment, locale = instant.astimezone(UTC), locale_of(language)
    return (
        f"{format_skeleton('MMMd', moment, locale=locale)} {format_time(moment, 'short', locale=locale)} UTC"
    )


def span(seconds: float, language: Language) -> str:
    """Returns a time that is left, as its two largest units: `2 days 3 hr`, `12 min`; never below 0 s."""
    left_s = max(0, int(seconds))
    parts = (
        (left_s // _DAY_S, "duration-day"),
        (left_s % _DAY_S // _HOUR_S, "duration-hour"),
        (left_s % _HOUR_S // _MINUTE_S, "duration-minute"),
        (left_s % _MINUTE_S, "duration-second"),
    )
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(
        format_unit(count, unit, length=_UNIT_LENGTHS.get(language, "short"), locale=locale_of(language))
        for count, unit in parts[first : first + 2]
        if count or unit == parts[first][1]
    )


@lru_cache(maxsize=_PATTERN_COUNT_MAX)
def _currency_pattern(language: Language, decimals: int) -> NumberPattern:
    pattern = parse_pattern(locale_of(language).currency_formats["standard"].pattern)
    pattern.frac_prec = (decimals, decimals)
    return pattern
