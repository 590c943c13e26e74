"""Money as requests and responses carry it: integer minor units and an ISO 4217 code, never a float."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from pintuan.base.wire.patterns import CURRENCY_PATTERN

# The length says what `$` does not: that no line break follows the code.
Currency: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        min_length=3, max_length=3, pattern=CURRENCY_PATTERN, description="ISO 4217 code.", examples=["USD"]
    ),
]


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units (1999 with USD is 19.99); the exponent follows from the currency."""

    amount: Annotated[int, msgspec.Meta(description="Amount in minor units.", examples=[1999])]
    currency: Currency
