"""How a charge comes about, as one line a buyer can check by hand. Amounts are in minor units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.buying.groups.shown import CHARGED

if TYPE_CHECKING:
    from pintuan.buying.groups.schemas import OrderStatus

NOTHING: Final = "nothing was charged"
_RUNNING: Final[frozenset[OrderStatus]] = frozenset({"held", "authorised"})


def calculation_of(
    status: OrderStatus,
    *,
    promised_unit_minor: int,
    settled_unit_minor: int | None,
    quantity: int,
    refunded_minor: int = 0,
) -> str:
    """Returns the line for an order; `settled_unit_minor` is None for one without a group that succeeded."""
    if status not in CHARGED and status not in _RUNNING:
        return NOTHING
    if settled_unit_minor is None:
        price, unit_minor = str(promised_unit_minor), promised_unit_minor
    else:
        price = f"min({promised_unit_minor}, {settled_unit_minor})"
        unit_minor = min(promised_unit_minor, settled_unit_minor)
    total_minor = unit_minor * quantity
    line = f"{price} × {quantity} = {total_minor}"
    if status in _RUNNING:
        return f"at most {line}" if settled_unit_minor is None else f"{line}, not charged yet"
    if refunded_minor == 0:
        return line
    return f"{line}, {total_minor} - {refunded_minor} given back = {total_minor - refunded_minor}"
