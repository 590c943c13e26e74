"""Stripe's rules, known without asking it: payment methods, amounts, and how long it holds money.

Stripe counts an amount in the currency's smallest unit, with exceptions from ISO 4217 that its page on
currencies lists (docs.stripe.com/currencies). A currency whose rule there is not plain is refused: an amount
misread is wrong by a factor of a hundred.
"""

from __future__ import annotations

import re
from typing import Final

from pintuan.base.charging import GatewayRules
from pricing.currency import UnknownCurrency, exponent

# Cards that the customer presents online are held for seven days by every network that Stripe's table lists
# (docs.stripe.com/payments/place-a-hold-on-a-payment-method); each charge tells its own `capture_before`.
AUTHORISATION_LIFETIME_MS: Final = 7 * 24 * 3_600_000

# Stripe takes about a hundred calls a second of a live account (docs.stripe.com/rate-limits). At half
# a second each, two workers stay below that with this many on their way; more would only be turned away.
CALLS_AT_ONCE_MAX: Final = 24

ORDER_FIELD: Final = "pintuan_order"
REFUND_FIELD: Final = "pintuan_refund"
"""The names of our references in the metadata of PaymentIntents and refunds."""

# An id such as pm_1Nx..., or one of the test names such as pm_card_visa.
_METHOD: Final = re.compile(r"pm_[A-Za-z0-9_]{1,120}")

# UGX is left out: the page names it here and among the special cases.
_ZERO_DECIMALS: Final = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_THREE_DECIMALS: Final = "BHD JOD KWD OMR TND"
# ISO has no decimals for it, and Stripe kept the two it once had, always 00.
_TWO_DECIMALS_KEPT: Final = "ISK"
# The last digit of these must be 0, to please Stripe's partners.
_THREE_DECIMALS_STEP: Final = 10

_DECIMALS: Final[dict[str, int]] = {
    code: decimals
    for decimals, codes in ((0, _ZERO_DECIMALS), (2, _TWO_DECIMALS_KEPT), (3, _THREE_DECIMALS))
    for code in codes.split()
}
_DECIMALS_ELSE: Final = 2


class UnsupportedAmount(ValueError):
    """Stripe cannot charge this amount; the message says why."""


def to_stripe_amount(amount_minor: int, currency: str) -> int:
    """Returns the amount as Stripe counts it: 500 JPY is 500, 5 ISK is 500, 500 MGA (in cents) is 5.

    Raises `UnsupportedAmount`.
    """
    step_minor = price_step_minor(currency)
    if step_minor is None:
        raise UnsupportedAmount(f"Stripe does not charge {currency}")
    if amount_minor % step_minor:
        raise UnsupportedAmount(f"Stripe takes {currency} in multiples of {step_minor} minor units")
    more, fewer = _factors_of(currency)
    return amount_minor * more // fewer


def from_stripe_amount(amount: int, currency: str) -> int:
    """Returns the minor units of an amount as Stripe counts it; a fraction of one is dropped.

    Raises `UnsupportedAmount`.
    """
    if price_step_minor(currency) is None:
        raise UnsupportedAmount(f"Stripe does not charge {currency}")
    more, fewer = _factors_of(currency)
    return amount * fewer // more


def price_step_minor(currency: str) -> int | None:
    """Returns what amounts of the currency must be multiples of; None where Stripe cannot charge it."""
    try:
        iso_decimals = exponent(currency)
    except UnknownCurrency:
        return None
    decimals = _DECIMALS.get(currency)
    if decimals is None:
        # Nobody can be sure of currencies that ISO gives other than two decimals and that Stripe's lists do
        # not name.
        return 1 if iso_decimals == _DECIMALS_ELSE else None
    if decimals > _DECIMALS_ELSE:
        return _THREE_DECIMALS_STEP
    return int(10 ** max(0, iso_decimals - decimals))


def _factors_of(currency: str) -> tuple[int, int]:
    """Returns what a minor unit is multiplied with, and then divided by, to be counted as Stripe does."""
    more_decimals = _DECIMALS.get(currency, _DECIMALS_ELSE) - exponent(currency)
    return int(10 ** max(0, more_decimals)), int(10 ** max(0, -more_decimals))


def _refuse_method(payment_method: str) -> str | None:
    if _METHOD.fullmatch(payment_method):
        return None
    return "is not the id of a payment method of Stripe, such as pm_1NxQ3dLkdIwHu7ix"


STRIPE_RULES: Final = GatewayRules(
    name="stripe",
    authorisation_lifetime_ms=AUTHORISATION_LIFETIME_MS,
    calls_at_once_max=CALLS_AT_ONCE_MAX,
    refuse_method=_refuse_method,
    price_step_minor=price_step_minor,
)
