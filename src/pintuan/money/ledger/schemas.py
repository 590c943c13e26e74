"""The books on the wire, as merchants read them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pintuan.base.wire.money import Money


class CurrencyBalance(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant's balance in one currency."""

    available: Annotated[
        Money, Meta(description="Captured, less fees, refunds and charges that failed; may be negative.")
    ]
    pending: Annotated[Money, Meta(description="Charged to buyers and not captured yet, before fees.")]
    fees: Annotated[Money, Meta(description="The platform's fees so far, those returned taken off.")]
    refunding: Annotated[
        Money, Meta(description="Refunds on their way to buyers; `available` is without them already.")
    ]


class Balance(msgspec.Struct, frozen=True):
    """A merchant's balance."""

    items: Annotated[
        list[CurrencyBalance],
        Meta(
            description="One entry for each currency that was ever sold in. Sums are 64-bit integers, "
            "and may be above what a double keeps exactly."
        ),
    ]
