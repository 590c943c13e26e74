"""The body of a request to place an order."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pintuan.base.wire.patterns import INVITE_CODE_PATTERN
from pintuan.buying.groups.schemas import Order
from pintuan.buying.orders import ship_to as address

QUANTITY_MAX = 1_000_000

# The look-ahead spans the whole text, because `$` would also match before a last line break.
InviteCode = Annotated[
    str,
    Meta(min_length=1, max_length=64, pattern=INVITE_CODE_PATTERN, examples=["k7mq3xw9bd"]),
]


class NewOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A seat in a group, or a solo purchase."""

    quantity: Annotated[
        int, Meta(ge=1, le=QUANTITY_MAX, description="Units; the deal limits them per buyer.", examples=[1])
    ] = 1
    payment_method: Annotated[
        str, Meta(min_length=1, max_length=128, description="The gateway's method.", examples=["pm_ok"])
    ]
    invite_code: Annotated[
        InviteCode | None,
        Meta(
            description="The code of the personal link the buyer came by; one that is unknown, or of "
            "another group, is ignored."
        ),
    ] = None
    ship_to: Annotated[
        Annotated[dict[str, Any], Meta(max_length=address.FIELDS_MAX)] | None,
        Meta(
            description="Where to send the goods, for the merchant; kept as it is. At most "
            f"{address.BYTES_MAX} bytes of JSON and {address.DEPTH_MAX} levels deep, with no number above "
            f"{address.NUMBER_MAX} or, but for zero, below {address.NUMBER_MIN} in size.",
            examples=[{"name": "Ann Lee", "city": "Lyon", "country": "FR"}],
        ),
    ] = None
    offer_id: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)] | None,
        Meta(
            description="The deal's `offer_id` as the buyer was shown it: once the deal offers something "
            "else, the call answers `offer_changed` and places nothing. Not compared when left out.",
        ),
    ] = None


class ExportedOrder(Order, frozen=True, kw_only=True):
    """An order with the details that the buyer sent with it; `group` is left out."""

    ship_to: Annotated[
        dict[str, Any] | None,
        Meta(description="Where the goods go, as the buyer sent it.", examples=[{"name": "Ann Lee"}]),
    ]
    invite_code: Annotated[str | None, Meta(description="Who invited the buyer.", examples=["k7mq3xw9bd"])]
    payment_method: Annotated[str, Meta(description="The gateway's method.", examples=["pm_ok"])]
