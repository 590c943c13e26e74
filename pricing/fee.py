"""The platform's part of a merchant's sales, in basis points of the charge."""

from __future__ import annotations

from typing import Final

BASIS_POINTS: Final = 10_000


def platform_fee(charged_minor: int, fee_bps: int) -> int:
    """Returns the fee on a charge, in minor units, rounded down: a broken unit stays with the merchant.

    Raises `ValueError` on a negative charge or a rate outside 0 to 10,000.
    """
    if charged_minor < 0 or not 0 <= fee_bps <= BASIS_POINTS:
        raise ValueError(f"no fee of {fee_bps} basis points on {charged_minor}")
    return charged_minor * fee_bps // BASIS_POINTS


def fee_to_return(fee_minor: int, charged_minor: int, refunded_minor: int, returned_minor: int) -> int:
    """Returns what more of a fee goes back to the merchant, in minor units.

    `refunded_minor` is the total refunded of the charge, this refund included; `returned_minor` is the part
    of the fee returned before. The fee's returned share is the refunded share of the charge, rounded down.
    Several refunds therefore return no more than one of their sum, and a full one returns the whole fee.

    Raises `ValueError` when more is refunded than was charged.
    """
    if not 0 < refunded_minor <= charged_minor:
        raise ValueError(f"{refunded_minor} refunded of {charged_minor}")
    return max(0, fee_minor * refunded_minor // charged_minor - returned_minor)
