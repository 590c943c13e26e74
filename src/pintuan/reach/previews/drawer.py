"""Has cards drawn by a process of their own, so that drawing takes nothing of the interpreter that sells.

There is one such process for each API process, from the first card on, and it draws one card at a time at the
lowest priority: beside a busy sale cards come late, and never at its cost.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from pintuan.base.errors import Overloaded
from pintuan.base.telemetry.metrics import MULTIPROCESS_VARIABLE
from pintuan.reach.previews.drawing_process import SIZE_BYTES

if TYPE_CHECKING:
    from pintuan.reach.previews.card import CardState

DRAW_S_MAX: Final = 20.0
"""A card takes a twentieth of a second, and a hundred times as long where the machine has better to do."""
TRIES_MAX: Final = 2
"""A process that ended while it had nothing to do is started again."""
STOP_S: Final = 2.0
PNG_BYTES_MAX: Final = 4 * 1024 * 1024

_logger = structlog.get_logger("pintuan.reach.previews")


class Drawer:
    """Draws one card at a time; any number of callers may wait."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def draw(self, state: CardState | None) -> bytes:
        """Returns the card of a state as PNG, or the plain one.

        Raises:
            Overloaded: it was not drawn in time, or the process that draws cannot be had.
        """
        body = b"" if state is None else msgspec.msgpack.encode(state)
        async with self._turn:
            for _ in range(TRIES_MAX):
                try:
                    async with asyncio.timeout(DRAW_S_MAX):
                        return await self._drawn(body)
                except asyncio.CancelledError:
                    # An answer that nobody read would be taken for the next card.
                    self._kill()
                    raise
                except (OSError, EOFError, TimeoutError) as error:
                    _logger.info("cards are drawn by another process from now on", reason=repr(error))
                    await self._end()
        raise Overloaded("the card could not be drawn")

    async def close(self) -> None:
        """Ends the process."""
        await self._end()

    async def _drawn(self, body: bytes) -> bytes:
        process = self._process
        if process is None or process.returncode is not None:
            process = self._process = await _started()
        assert process.stdin is not None  # noqa: S101 - both are pipes.
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(len(body).to_bytes(SIZE_BYTES, "big") + body)
        await process.stdin.drain()
        size = int.from_bytes(await process.stdout.readexactly(SIZE_BYTES), "big")
        if size > PNG_BYTES_MAX:
            raise OSError(f"a card of {size} bytes")
        return await process.stdout.readexactly(size)

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _started() -> asyncio.subprocess.Process:
    # It counts nothing, and would leave a file of zeros among the metrics.
    environ = {name: value for name, value in os.environ.items() if name != MULTIPROCESS_VARIABLE}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pintuan.reach.previews.drawing_process"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environ,
    )
