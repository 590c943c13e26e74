"""What feeds keep while a process answers calls: the uploads under way."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pintuan.shop.feeds.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pintuan.base.process import Resources


@asynccontextmanager
async def open_state(_process: Resources) -> AsyncIterator[Uploads]:
    """Opens the uploads, of which nothing is left at the end."""
    yield Uploads()
