"""The answer to a call that placed somebody, as bytes; what a batch shares is encoded once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import msgspec

from pintuan.orders.placed import group_of_placed, order_of_placed

if TYPE_CHECKING:
    from groups.placement import Placed, PlacedGroup
    from pintuan.groups.schemas import Group

_encode: Final = msgspec.json.Encoder().encode


class ShownGroup:
    """Encodes a group for the members a batch gave it; `share_base` is the URL before the share code."""

    def __init__(self, share_base: str) -> None:
        self._share_base = share_base
        self._group: PlacedGroup | None = None
        self._encoded = msgspec.Raw()

    def encoded(self, placed: Placed, group: PlacedGroup) -> msgspec.Raw:
        """Returns the group as JSON; those of one batch come with one object, and one after another."""
        if group is not self._group:
            shown = group_of_placed(group, server_time=placed.created_at, share_base=self._share_base)
            self._group, self._encoded = group, msgspec.Raw(_encode(shown))
        return self._encoded


def created_answer(order_id: str, placed: Placed, shown: ShownGroup, request_id: str) -> tuple[bytes, bytes]:
    """Returns the header lines and the body of the 201 that tells of a placed order."""
    group = None if placed.group is None else shown.encoded(placed, placed.group)
    # JSON that is there already takes the place of a struct; the encoder copies it.
    body = _encode(order_of_placed(order_id, placed, cast("Group | None", group)))
    headers = (
        "content-type: application/json\r\n"
        f"location: /v1/orders/{order_id}\r\n"
        f"x-request-id: {request_id}\r\n"
        "x-content-type-options: nosniff\r\n"
    )
    return headers.encode("ascii"), body
