"""Starts load processes, one for each phase, and reads what came of it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.cores import pinned
from benchmarks.generate import SIZE_BYTES, Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONNECT_WAIT_S: Final = 30.0
# Beyond a phase's own limit: the time to sum up.
SUM_UP_WAIT_S: Final = 60.0
END_WAIT_S: Final = 2.0
# One line holds the whole outcome.
LINE_BYTES_MAX: Final = 16 * 1024 * 1024


class LoadError(Exception):
    """A load process failed; the text ends with what it complained of."""


class LoadProcess:
    """A load process that is connected and waits to begin."""

    def __init__(self, process: asyncio.subprocess.Process, phase: Phase) -> None:
        self._process = process
        self._phase = phase

    async def run(self) -> Outcome:
        """Makes the calls. Raises LoadError."""
        assert self._process.stdin is not None  # noqa: S101 - both are pipes.
        self._process.stdin.write(b"go\n")
        line = await self._line(self._phase.time_limit_s + SUM_UP_WAIT_S)
        return msgspec.json.decode(line, type=Outcome)

    def stop(self) -> None:
        """Ends the phase early; `run` returns what it came to."""
        assert self._process.stdin is not None  # noqa: S101 - both are pipes.
        self._process.stdin.write(b"stop\n")

    async def connect(self) -> None:
        """Hands over the phase and waits until all connections are made. Raises LoadError."""
        assert self._process.stdin is not None  # noqa: S101 - both are pipes.
        encoded = msgspec.msgpack.encode(self._phase)
        self._process.stdin.write(len(encoded).to_bytes(SIZE_BYTES, "big") + encoded)
        if await self._line(CONNECT_WAIT_S) != b"ready\n":
            raise LoadError("the load process did not connect")

    async def _line(self, within_s: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 - both are pipes.
        try:
            async with asyncio.timeout(within_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise LoadError(f"the load process was silent for {within_s:.0f} s") from None
        if not line:
            raise LoadError("the load process ended; its complaint is above")
        return line


@asynccontextmanager
async def loaded(phase: Phase, cores: frozenset[int]) -> AsyncIterator[LoadProcess]:
    """Yields a load process for `phase` on `cores`, connected; it ends with the block. Raises LoadError."""
    with pinned(cores):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.generate"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
        )
    load = LoadProcess(process, phase)
    try:
        await load.connect()
        yield load
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Lets the process end, which it does when it has told its outcome or nobody tells it to begin."""
    assert process.stdin is not None  # noqa: S101 - it is a pipe.
    process.stdin.close()
    try:
        async with asyncio.timeout(END_WAIT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
