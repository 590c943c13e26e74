"""Goes through a list page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

from pintuan.base.wire.page import Page
from pintuan.client.errors import ClientError

PAGE_SIZE: Final = 100
PAGES_MAX: Final = 10_000

T = TypeVar("T")


class EndlessList(ClientError):
    """A list did not end within `PAGES_MAX` pages."""


async def every(call: Callable[..., Awaitable[Page[T]]], *args: Any, **filters: Any) -> AsyncIterator[T]:
    """Yields every item of a list, such as `every(pintuan.list_orders)`; further arguments go to the call.

    Pages are asked for as they are needed. Raises what the call raises, and EndlessList.
    """
    limit = filters.pop("limit", PAGE_SIZE)
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = await call(*args, limit=limit, cursor=cursor, **filters)
        for item in page.items:
            yield item
        cursor = page.next_cursor
        if cursor is None:
            return
    raise EndlessList(f"the list has more than {PAGES_MAX} pages of {limit}")
