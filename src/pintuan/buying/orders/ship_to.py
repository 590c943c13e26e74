"""The address in an order for the delivery of its goods.

It is free JSON, and read again in every page, sheet, export and message that shows the order. Its size and
its numbers are therefore bounded. Numbers matter because Postgres keeps them as `numeric` and gives back all
of their digits: 1e308, five characters, comes back as 309. Within the bounds nothing gets four times as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FIELDS_MAX: Final = 20
DEPTH_MAX: Final = 5
BYTES_MAX: Final = 4096
"""As JSON in UTF-8 without spaces, however it was spelt."""
NUMBER_MAX: Final = 2**53
"""Every integer up to here is also an exact float: all readers of JSON see the same one (RFC 8259
section 6).
"""
NUMBER_MIN: Final = 1e-9
"""A float nearer to zero would come back as a row of zeros. A degree of latitude has fewer digits."""
ADDRESS_BYTES_PER_PAGE: Final = 512 * 1024
"""As Postgres keeps them, uncompressed. A page that has more ends there: there are longer ones of before."""

_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode


def refusal_of(ship_to: Mapping[str, Any]) -> str | None:
    """Returns why an address is not taken, in words that follow its name; None for one that is."""
    level: list[Any] = [ship_to]
    for _ in range(DEPTH_MAX):
        level = [inner for value in level for inner in _parts_of(value)]
        if not all(_is_short(value) for value in level):
            return f"has a number above {NUMBER_MAX} or, but for zero, below {NUMBER_MIN} in size"
    if any(isinstance(value, dict | list) for value in level):
        return f"is nested more than {DEPTH_MAX} levels deep"
    # Only now, because what is nested without bound cannot be encoded.
    if len(_encode_sorted(ship_to)) > BYTES_MAX:
        return f"is longer than {BYTES_MAX} bytes of JSON"
    return None


def _parts_of(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _is_short(value: Any) -> bool:
    if not isinstance(value, int | float) or value == 0:
        return True
    # An integer is compared as it is, for one of many digits would fit no float.
    return -NUMBER_MAX <= value <= NUMBER_MAX and (isinstance(value, int) or abs(value) >= NUMBER_MIN)
