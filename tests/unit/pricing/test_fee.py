"""The platform's fee: rounded for the merchant, and returned in step with refunds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.fee import fee_to_return, platform_fee

charges = st.integers(1, 10**15)
rates = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("charged_minor", "fee_bps", "fee_minor"),
    [(1000, 250, 25), (999, 250, 24), (1, 9999, 0), (1, 10_000, 1), (0, 250, 0), (1000, 0, 0)],
)
def test_a_broken_minor_unit_stays_with_the_merchant(
    charged_minor: int, fee_bps: int, fee_minor: int
) -> None:
    assert platform_fee(charged_minor, fee_bps) == fee_minor


@pytest.mark.parametrize(("charged_minor", "fee_bps"), [(-1, 0), (1, -1), (1, 10_001)])
def test_what_is_no_charge_or_no_rate_has_no_fee(charged_minor: int, fee_bps: int) -> None:
    with pytest.raises(ValueError, match="no fee"):
        platform_fee(charged_minor, fee_bps)


@given(charges, rates)
def test_a_fee_is_never_more_than_the_charge(charged_minor: int, fee_bps: int) -> None:
    assert 0 <= platform_fee(charged_minor, fee_bps) <= charged_minor


@given(st.data())
def test_refunds_in_any_parts_return_the_whole_fee_once_and_at_the_end(data: st.DataObject) -> None:
    charged_minor = data.draw(charges)
    fee_minor = platform_fee(charged_minor, data.draw(rates))
    stops = sorted(data.draw(st.sets(st.integers(1, charged_minor), max_size=5)) | {charged_minor})
    returned_minor = 0
    for refunded_minor in stops:
        part_minor = fee_to_return(fee_minor, charged_minor, refunded_minor, returned_minor)
        assert part_minor >= 0
        returned_minor += part_minor
        assert returned_minor <= fee_minor * refunded_minor // charged_minor
    assert returned_minor == fee_minor


@pytest.mark.parametrize("refunded_minor", [0, 101])
def test_a_refund_outside_the_charge_returns_no_fee(refunded_minor: int) -> None:
    with pytest.raises(ValueError, match="refunded of"):
        fee_to_return(10, 100, refunded_minor, 0)
