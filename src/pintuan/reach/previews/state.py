"""The state of previews in a process that answers calls: cards, and the process that draws them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pintuan.reach.previews.cards import Cards
from pintuan.reach.previews.drawer import Drawer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pintuan.base.process import Resources


@asynccontextmanager
async def open_state(_process: Resources) -> AsyncIterator[Cards]:
    """Opens the cards; the process that draws them ends with the block."""
    drawer = Drawer()
    try:
        yield Cards(drawer.draw)
    finally:
        await drawer.close()
