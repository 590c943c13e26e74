"""Refunds on the wire."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pintuan.base.wire.patterns import LINE_PATTERN
from pricing.currency import ORDER_MINOR_MAX

REASON_CHARS_MAX = 500


class NewRefund(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A wish to give money back."""

    amount: Annotated[
        Annotated[int, Meta(ge=1, le=ORDER_MINOR_MAX)] | None,
        Meta(
            description="In minor units of the order's currency; all that is left when it is absent.",
            examples=[500],
        ),
    ] = None
    reason: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=REASON_CHARS_MAX,
            pattern=LINE_PATTERN,
            description="Why, for the books and for the buyer.",
            examples=["arrived damaged"],
        ),
    ]
