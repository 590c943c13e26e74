"""Waiting for what happens outside of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

WAIT_S_MAX = 30.0
POLL_S = 0.01


async def until(holds: Callable[[], Awaitable[bool]], *, within_s: float = WAIT_S_MAX) -> None:
    """Asks again and again; raises TimeoutError where it does not hold in time."""
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110 - servers and other processes can set no event of ours
            await asyncio.sleep(POLL_S)
