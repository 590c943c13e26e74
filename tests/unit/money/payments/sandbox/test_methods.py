"""A sandbox payment method is a known name, alone or with a card identity."""

import pytest

from pintuan.money.payments.sandbox.methods import (
    PAYMENT_METHODS,
    UNKNOWN_METHOD,
    behaviour_of,
    card_of,
    is_known_method,
)


@pytest.mark.parametrize("base", sorted(PAYMENT_METHODS))
def test_every_method_is_known_alone_and_with_a_card(base: str) -> None:
    assert is_known_method(base)
    assert is_known_method(f"{base}:card-7")
    assert behaviour_of(f"{base}:card-7") == PAYMENT_METHODS[base]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pm_",
        "pm_gold",
        "PM_OK",
        "pm_ok ",
        "pm_ok\n",
        "pm_ok:",
        "pm_ok:a b",
        "pm_ok:" + "x" * 65,
        "pm_ok:a:b",
        "card",
    ],
)
def test_anything_else_is_unknown_and_would_be_declined(text: str) -> None:
    assert not is_known_method(text)
    assert behaviour_of(text).authorise_refusal == UNKNOWN_METHOD


def test_a_card_belongs_to_its_buyer_unless_it_is_named() -> None:
    assert card_of("pm_ok:card-7", "ann") == card_of("pm_declined:card-7", "bob") == "card-7"
    assert card_of("pm_ok", "ann") != card_of("pm_ok", "bob")
