"""Money as requests and responses carry it: integer minor units and an ISO 4217 code, never a float."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units (1999 with USD is 19.99); the exponent follows from the currency."""

    amount: Annotated[int, msgspec.Meta(description="Minor units of the currency.", examples=[1999])]
    currency: Annotated[
        str, msgspec.Meta(pattern="^[A-Z]{3}$", description="ISO 4217 code.", examples=["USD"])
    ]
