"""The answer to a call that placed somebody, as bytes; the part that a batch shares is encoded once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import msgspec

from pintuan.buying.orders.placed import group_of_placed

if TYPE_CHECKING:
    from groups.placement import Placed, PlacedGroup
    from pintuan.buying.groups.schemas import Group, Order

_encode: Final = msgspec.json.Encoder().encode


class ShownGroup:
    """Encodes a group for the members a batch gave it; `share_base` is the URL before the share code."""

    def __init__(self, share_base: str) -> None:
        self._share_base = share_base
        self._group: PlacedGroup | None = None
        self._encoded = msgspec.Raw()

    def in_place(self, placed: Placed) -> Group | None:
        """Returns what encodes as the order's group; those of a batch share an object, and come in a row."""
        group = placed.group
        if group is None:
            return None
        if group is not self._group:
            shown = group_of_placed(group, server_time=placed.created_at, share_base=self._share_base)
            self._group, self._encoded = group, msgspec.Raw(_encode(shown))
        # JSON that is there already takes the place of a struct; the encoder copies it.
        return cast("Group", self._encoded)


def created_answer(order: Order, request_id: str) -> tuple[bytes, bytes]:
    """Returns the header lines and the body of the 201 that tells of a placed order."""
    headers = (
        "content-type: application/json\r\n"
        f"location: /v1/orders/{order.id}\r\n"
        f"x-request-id: {request_id}\r\n"
        "x-content-type-options: nosniff\r\n"
    )
    return headers.encode("ascii"), _encode(order)
