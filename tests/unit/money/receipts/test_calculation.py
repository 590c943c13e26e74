"""The line of a receipt, and that it comes to what `pricing` charges."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pintuan.buying.groups.schemas import OrderStatus
from pintuan.money.receipts.calculation import calculation_of
from pricing.charge import charge

PRICES = st.integers(min_value=1, max_value=10**12)
QUANTITIES = st.integers(min_value=1, max_value=10**6)
LINE = re.compile(r"min\((\d+), (\d+)\) × (\d+) = (\d+)(?:, (\d+) - (\d+) given back = (\d+))?")


@given(promised=PRICES, settled=PRICES, quantity=QUANTITIES, data=st.data())
def test_what_the_line_says_is_what_pricing_charges(
    promised: int, settled: int, quantity: int, data: st.DataObject
) -> None:
    due = charge(promised, settled, quantity)
    refunded = data.draw(st.integers(min_value=0, max_value=due.total_minor))

    line = calculation_of(
        "captured",
        promised_unit_minor=promised,
        settled_unit_minor=settled,
        quantity=quantity,
        refunded_minor=refunded,
    )

    match = LINE.fullmatch(line)
    assert match is not None
    first, second, units, total = (int(number) for number in match.groups()[:4])
    assert (min(first, second) * units, total) == (due.total_minor, due.total_minor)
    if refunded:
        assert [int(number) for number in match.groups()[4:]] == [total, refunded, total - refunded]
    else:
        assert match.groups()[4:] == (None, None, None)


@pytest.mark.parametrize(
    ("status", "settled", "line"),
    [
        ("held", None, "at most 900 × 2 = 1800"),
        ("authorised", None, "at most 900 × 2 = 1800"),
        ("authorised", 800, "min(900, 800) × 2 = 1600, not charged yet"),
        ("captured", 800, "min(900, 800) × 2 = 1600"),
        ("captured", None, "900 × 2 = 1800"),
        ("declined", None, "nothing was charged"),
        ("expired", 800, "nothing was charged"),
        ("cancelled", 800, "nothing was charged"),
        ("released", None, "nothing was charged"),
        ("payment_failed", 800, "nothing was charged"),
    ],
)
def test_every_state_has_its_line(status: OrderStatus, settled: int | None, line: str) -> None:
    assert calculation_of(status, promised_unit_minor=900, settled_unit_minor=settled, quantity=2) == line


def test_what_was_given_back_is_taken_off() -> None:
    assert (
        calculation_of(
            "partially_refunded",
            promised_unit_minor=900,
            settled_unit_minor=800,
            quantity=2,
            refunded_minor=300,
        )
        == "min(900, 800) × 2 = 1600, 1600 - 300 given back = 1300"
    )
