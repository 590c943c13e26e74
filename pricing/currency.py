"""Currencies as ISO 4217 has them: how many decimals each one's minor unit stands for.

Source of the exponents: ISO 4217 list one, as published by its maintenance agency (SIX Group). Codes whose
minor unit is "N.A." there (metals, SDR, test codes) cannot be charged, and are unknown here.

Amounts are integers in minor units everywhere; the two functions that meet text work on its digits, so no
amount ever passes through a binary fraction.
"""

from __future__ import annotations

import re

AMOUNT_MINOR_MAX = 10**12
"""The largest price accepted, in minor units."""

ORDER_MINOR_MAX = 10**15
"""The most that one order may come to: exact for readers that keep JSON's numbers as doubles (RFC 8259,
section 6).
"""

_TWO_DECIMALS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL
HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU
MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR
SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UZS VED VES
WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"

_EXPONENTS: dict[str, int] = {
    code: exponent
    for exponent, codes in ((0, _NO_DECIMALS), (2, _TWO_DECIMALS), (3, _THREE_DECIMALS), (4, _FOUR_DECIMALS))
    for code in codes.split()
}

# `[0-9]` and not `\d`, which also matches the digits of other scripts.
_PLAIN_DECIMAL = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,18}))?")


class UnknownCurrency(ValueError):
    """`code` is no active ISO 4217 currency with a minor unit."""

    def __init__(self, code: str) -> None:
        super().__init__(f"{code!r} is not an active ISO 4217 currency code")
        self.code = code


class InvalidAmount(ValueError):
    """`text` is no amount of the currency; `reason` says why in words fit for a merchant."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text!r}: {reason}")
        self.text = text
        self.reason = reason


def exponent(code: str) -> int:
    """Returns the decimals of the currency's minor unit: 2 for USD, 0 for JPY, 3 for KWD.

    Codes are upper case, as the standard writes them. Raises `UnknownCurrency`.
    """
    try:
        return _EXPONENTS[code]
    except KeyError:
        raise UnknownCurrency(code) from None


def currencies() -> tuple[str, ...]:
    """Returns every known code, in alphabetical order."""
    return tuple(sorted(_EXPONENTS))


def format_minor(amount_minor: int, currency: str) -> str:
    """Returns the amount in major units with its code: "19.99 USD", "1500 JPY", "-0.05 EUR".

    Raises `UnknownCurrency`.
    """
    decimals = exponent(currency)
    sign = "-" if amount_minor < 0 else ""
    digits = str(abs(amount_minor)).rjust(decimals + 1, "0")
    if decimals == 0:
        return f"{sign}{digits} {currency}"
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]} {currency}"


def parse_major(text: str, currency: str) -> int:
    """Returns the minor units of a plain decimal in major units: ("19.9", "USD") is 1990.

    Signs, exponents, spaces and thousands separators are refused, as are more decimals than the currency has
    and amounts above `AMOUNT_MINOR_MAX`. Raises `UnknownCurrency` and `InvalidAmount`.
    """
    decimals = exponent(currency)
    match = _PLAIN_DECIMAL.fullmatch(text)
    if match is None:
        raise InvalidAmount(text, "is not a plain decimal number such as 19.99")
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > decimals:
        raise InvalidAmount(text, f"{currency} has {decimals} decimals, not {len(fraction)}")
    amount_minor = int(whole + fraction.ljust(decimals, "0"))
    if amount_minor > AMOUNT_MINOR_MAX:
        raise InvalidAmount(text, f"is above the largest amount, {format_minor(AMOUNT_MINOR_MAX, currency)}")
    return amount_minor
