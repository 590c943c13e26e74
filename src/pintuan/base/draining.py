"""Knows when this process was asked to end, before its server stops answering."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_logger = structlog.get_logger("pintuan.draining")


class Draining:
    """Set once shutdown begins: readiness answers 503, and streams that would never end by themselves end."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def begin(self) -> None:
        """Marks the beginning of shutdown; doing it twice changes nothing."""
        if not self._event.is_set():
            _logger.info("draining")
            self._event.set()

    @property
    def begun(self) -> bool:
        """Says whether shutdown has begun."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Returns when shutdown begins."""
        await self._event.wait()


@contextmanager
def drain_on_sigterm(draining: Draining) -> Iterator[None]:
    """Begins draining at SIGTERM and SIGINT, then lets the server's own handler act, within the block.

    A server such as uvicorn ends its open connections before it tells the application about shutdown. Streams
    would stay open until they are cut off.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(draining.begin)
        handler = previous[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    installed = [number for number, handler in previous.items() if callable(handler)]
    for number in installed:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in installed:
            signal.signal(number, previous[number])
