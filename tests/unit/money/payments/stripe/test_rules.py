"""Amounts reach Stripe as it counts them, and come back as ISO 4217 does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pintuan.money.payments.stripe.rules import (
    STRIPE_RULES,
    UnsupportedAmount,
    from_stripe_amount,
    price_step_minor,
    to_stripe_amount,
)
from pricing.currency import AMOUNT_MINOR_MAX, currencies

CHARGEABLE = [code for code in currencies() if price_step_minor(code) is not None]


@pytest.mark.parametrize(
    ("currency", "amount_minor", "amount"),
    [
        # 10.99 dollars are 1099 cents for both.
        ("USD", 1099, 1099),
        # Yen have no decimals anywhere.
        ("JPY", 500, 500),
        # ISO has no decimals for the krona, Stripe kept two: five of them are 500.
        ("ISK", 5, 500),
        # ISO has two for the ariary, Stripe none: five of them are 5.
        ("MGA", 500, 5),
        # 5.120 dinars are 5120 fils for both.
        ("KWD", 5120, 5120),
    ],
)
def test_an_amount_is_written_as_stripe_counts_it(currency: str, amount_minor: int, amount: int) -> None:
    assert to_stripe_amount(amount_minor, currency) == amount
    assert from_stripe_amount(amount, currency) == amount_minor


@pytest.mark.parametrize(
    ("currency", "amount_minor"), [("KWD", 5124), ("MGA", 550), ("UGX", 100), ("CLF", 100), ("QQQ", 100)]
)
def test_what_stripe_cannot_charge_is_refused(currency: str, amount_minor: int) -> None:
    with pytest.raises(UnsupportedAmount, match=currency):
        to_stripe_amount(amount_minor, currency)


def test_a_currency_nobody_is_sure_of_is_not_read_either() -> None:
    with pytest.raises(UnsupportedAmount):
        from_stripe_amount(100, "UGX")


@given(currency=st.sampled_from(CHARGEABLE), steps=st.integers(1, AMOUNT_MINOR_MAX // 100))
def test_every_amount_in_steps_comes_back_as_it_was(currency: str, steps: int) -> None:
    step_minor = price_step_minor(currency)
    assert step_minor is not None
    amount_minor = steps * step_minor
    assert from_stripe_amount(to_stripe_amount(amount_minor, currency), currency) == amount_minor


@pytest.mark.parametrize("method", ["pm_1NxQ3dLkdIwHu7ixVZ", "pm_card_visa", "pm_card_visa_chargeDeclined"])
def test_ids_of_payment_methods_are_taken(method: str) -> None:
    assert STRIPE_RULES.refuse_method(method) is None


@pytest.mark.parametrize("method", ["pm_", "card-7", "pm_ok:card-7", "tok_visa", "pm_a b", "pm_a\n"])
def test_what_is_no_id_is_refused(method: str) -> None:
    assert "is not the id" in (STRIPE_RULES.refuse_method(method) or "")
