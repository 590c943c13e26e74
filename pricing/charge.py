"""The price of a settled seat, and how much of it may still be refunded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pricing.ladder import Ladder


class Settled(NamedTuple):
    """The unit price, in minor units, of the tier a group reached when it closed."""

    unit_price_minor: int


class Charge(NamedTuple):
    """The charge of one seat: per unit and in all, in minor units."""

    unit_minor: int
    total_minor: int


class RefundRefused(ValueError):
    """The refund is not between 1 and the rest of the capture, all in minor units."""

    def __init__(self, amount_minor: int, refundable_minor: int) -> None:
        super().__init__(f"{amount_minor} is not from 1 to {refundable_minor}, what is left to refund")
        self.amount_minor = amount_minor
        self.refundable_minor = refundable_minor


def settle(ladder: Ladder, min_headcount: int, headcount: int) -> Settled | None:
    """Decides a group that closed with `headcount` authorised seats; None means it failed and nobody pays."""
    if headcount < min_headcount:
        return None
    return Settled(ladder.unit_price_at(headcount, min_headcount))


def charge(promised_minor: int, settled_minor: int, quantity: int) -> Charge:
    """Returns what a seat pays: the lower of the promised and the settled unit price, times its quantity.

    Prices are in minor units per unit. Raises `ValueError` on a price or quantity below 1.
    """
    if min(promised_minor, settled_minor, quantity) < 1:
        raise ValueError(f"cannot charge promised {promised_minor}, settled {settled_minor} × {quantity}")
    unit_minor = min(promised_minor, settled_minor)
    return Charge(unit_minor, unit_minor * quantity)


@dataclass(frozen=True, slots=True)
class Refundable:
    """A capture and the part of it refunded so far, in minor units; 0 ≤ refunded ≤ captured.

    Raises `ValueError` when built otherwise.
    """

    captured_minor: int
    refunded_minor: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.refunded_minor <= self.captured_minor:
            raise ValueError(f"{self.refunded_minor} refunded of {self.captured_minor} captured")

    @property
    def refundable_minor(self) -> int:
        """The amount left to refund."""
        return self.captured_minor - self.refunded_minor

    def refund(self, amount_minor: int | None = None) -> Refundable:
        """Returns the state after refunding `amount_minor`, or all that is left when it is None.

        The amount moved is the difference of the two states' `refunded_minor`. Raises `RefundRefused`, also
        when nothing is left.
        """
        amount_minor = self.refundable_minor if amount_minor is None else amount_minor
        if not 1 <= amount_minor <= self.refundable_minor:
            raise RefundRefused(amount_minor, self.refundable_minor)
        return Refundable(self.captured_minor, self.refunded_minor + amount_minor)
