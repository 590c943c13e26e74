"""Amounts and times as each language writes them; decimals are the currency's."""

from datetime import UTC, datetime

import pytest

from pintuan.base.locales import LANGUAGES, Language, clock_time, money, span
from pintuan.base.wire.money import Money

NARROW_SPACES = str.maketrans({"\u202f": " ", "\u00a0": " "})


def plain(text: str) -> str:
    return text.translate(NARROW_SPACES)


@pytest.mark.parametrize(
    ("amount", "currency", "language", "text"),
    [
        (123456, "USD", "en", "$1,234.56"),
        (123456, "USD", "fr", "1 234,56 $US"),
        (123456, "USD", "zh", "US$1,234.56"),
        (1500, "KRW", "ko", "₩1,500"),
        (150000, "VND", "vi", "150.000 ₫"),
        (123456, "EUR", "es", "1.234,56 €"),
        (15000, "HUF", "en", "HUF 150.00"),
        (1234567, "KWD", "en", "KWD 1,234.567"),
        (5, "USD", "en", "$0.05"),
        (0, "UAH", "uk", "0,00 ₴"),
    ],
)
def test_an_amount_has_the_marks_of_the_language(
    amount: int, currency: str, language: Language, text: str
) -> None:
    assert plain(money(Money(amount, currency), language)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (90_061, "1 day 1 hr"),
        (3_600, "1 hr"),
        (75.9, "1 min 15 sec"),
        (59, "59 sec"),
        (0, "0 sec"),
        (-5, "0 sec"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds, "en") == text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_can_tell_times_and_spans(language: Language) -> None:
    told = clock_time(datetime(2030, 5, 17, 18, 30, tzinfo=UTC), language)
    assert "17" in told
    assert ("30" in told, told.endswith("UTC")) == (True, True)
    assert "duration" not in span(90_061, language) + span(61, language)
