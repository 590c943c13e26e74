"""The state of identity in a process that answers calls: whose turn it is to sign in."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pintuan.people.identity.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pintuan.base.process import Resources


@asynccontextmanager
async def open_state(_process: Resources) -> AsyncIterator[Turns]:
    """Opens the turns, of which nothing is left at the end."""
    yield Turns()
