"""A list's answer: some items and where the next ones begin."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T]):
    """Some items, and the cursor of the next ones if there are any."""

    items: Annotated[
        list[T],
        msgspec.Meta(description="In the order of the list; at most `limit`, and fewer where they are long."),
    ]
    next_cursor: Annotated[
        str | None,
        msgspec.Meta(
            description="Cursor of the next page, or null on the last one.",
            examples=["WyIyMDI2LTA1LTAxVDE4OjMwOjAwWiIsImRlYV8wMTlhMmIiXQ"],
        ),
    ]
