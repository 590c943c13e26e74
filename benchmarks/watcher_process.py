"""Starts the process that looks on, and reads what it saw."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.cores import pinned
from benchmarks.load_process import LINE_BYTES_MAX, LoadError
from benchmarks.watchers import CONNECT_WAIT_S, SIZE_BYTES, Connected, Seen, Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ANSWER_WAIT_S: Final = 30.0


class WatcherProcess:
    """A process that has opened its streams; `connected` says how that went."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.connected = Connected(0.0, 0)

    async def connect(self, watch: Watch) -> None:
        """Opens the streams. Raises LoadError, also when one was refused."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe.
        encoded = msgspec.msgpack.encode(watch)
        self._process.stdin.write(len(encoded).to_bytes(SIZE_BYTES, "big") + encoded)
        self.connected = msgspec.json.decode(await self._line(CONNECT_WAIT_S + ANSWER_WAIT_S), type=Connected)
        if self.connected.refused:
            raise LoadError(f"{self.connected.refused} of {watch.count} streams were refused")

    async def seen(self) -> Seen:
        """Ends looking on, and returns what was seen. Raises LoadError."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe.
        self._process.stdin.write(b"enough\n")
        return msgspec.json.decode(await self._line(ANSWER_WAIT_S), type=Seen)

    async def _line(self, within_s: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe.
        try:
            async with asyncio.timeout(within_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise LoadError(f"the watchers' process was silent for {within_s:.0f} s") from None
        if not line:
            raise LoadError("the watchers' process ended; its complaint is above")
        return line


@asynccontextmanager
async def watching(watch: Watch, cores: frozenset[int]) -> AsyncIterator[WatcherProcess]:
    """Yields a process on `cores` whose streams are open; they close with the block. Raises LoadError."""
    with pinned(cores):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.watchers"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
        )
    watchers = WatcherProcess(process)
    try:
        await watchers.connect(watch)
        yield watchers
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
