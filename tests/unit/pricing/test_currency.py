"""Amounts to text and back, exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.currency import (
    AMOUNT_MINOR_MAX,
    InvalidAmount,
    UnknownCurrency,
    currencies,
    exponent,
    format_minor,
    parse_major,
)


@pytest.mark.parametrize(
    ("code", "decimals"),
    [
        ("USD", 2),
        ("EUR", 2),
        ("MGA", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("XOF", 0),
        ("KWD", 3),
        ("TND", 3),
        ("CLF", 4),
    ],
)
def test_a_currency_has_the_decimals_of_its_standard(code: str, decimals: int) -> None:
    assert exponent(code) == decimals


@pytest.mark.parametrize("code", ["", "usd", "US", "DEM", "HRK", "XAU", "XXX", "USD ", "€"])
def test_a_code_that_is_no_active_currency_is_unknown(code: str) -> None:
    with pytest.raises(UnknownCurrency) as raised:
        exponent(code)
    assert raised.value.code == code


def test_every_code_is_three_capital_letters() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in currencies())


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (1999, "USD", "19.99 USD"),
        (5, "USD", "0.05 USD"),
        (0, "USD", "0.00 USD"),
        (-5, "EUR", "-0.05 EUR"),
        (1500, "JPY", "1500 JPY"),
        (1250, "KWD", "1.250 KWD"),
        (1, "CLF", "0.0001 CLF"),
    ],
)
def test_an_amount_is_written_with_its_currencys_decimals(
    amount_minor: int, currency: str, text: str
) -> None:
    assert format_minor(amount_minor, currency) == text


@pytest.mark.parametrize(
    ("text", "currency", "amount_minor"),
    [
        ("19.99", "USD", 1999),
        ("19.9", "USD", 1990),
        ("19", "USD", 1900),
        ("0.10", "USD", 10),
        ("007", "USD", 700),
        ("1500", "JPY", 1500),
        ("1.25", "KWD", 1250),
        ("9007199254.93", "USD", 900719925493),
    ],
)
def test_a_plain_decimal_is_read_exactly(text: str, currency: str, amount_minor: int) -> None:
    assert parse_major(text, currency) == amount_minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("19.999", "USD"),
        ("1500.0", "JPY"),
        ("1.2345", "KWD"),
        ("-1", "USD"),
        ("+1", "USD"),
        ("", "USD"),
        (" 1", "USD"),
        ("1\n", "USD"),
        (".5", "USD"),
        ("5.", "USD"),
        ("1,000.00", "USD"),
        ("1e3", "USD"),
        ("NaN", "USD"),
        ("Infinity", "USD"),
        ("1_000", "USD"),
        ("١٩", "USD"),
        ("0x10", "USD"),
        ("1.2.3", "USD"),
        ("10000000000.01", "USD"),
        ("9" * 100, "JPY"),
    ],
)
def test_text_that_is_no_amount_of_the_currency_is_refused(text: str, currency: str) -> None:
    with pytest.raises(InvalidAmount) as raised:
        parse_major(text, currency)
    assert raised.value.text == text
    assert raised.value.reason


def test_parsing_in_an_unknown_currency_is_refused() -> None:
    with pytest.raises(UnknownCurrency):
        parse_major("1.00", "ABC")


@given(st.integers(0, AMOUNT_MINOR_MAX), st.sampled_from(currencies()))
def test_an_amount_survives_being_written_and_read(amount_minor: int, currency: str) -> None:
    text, code = format_minor(amount_minor, currency).split(" ")
    assert code == currency
    assert parse_major(text, code) == amount_minor


@given(st.text(), st.sampled_from(currencies()))
def test_any_text_is_an_amount_or_refused_as_one(text: str, currency: str) -> None:
    try:
        amount_minor = parse_major(text, currency)
    except InvalidAmount:
        return
    assert 0 <= amount_minor <= AMOUNT_MINOR_MAX
