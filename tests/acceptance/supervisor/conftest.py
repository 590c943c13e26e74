"""Running `pintuan up` as an operator does."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

START_S_MAX = 90.0
STOP_S_MAX = 60.0
READY = "Pintuan is ready at "


@dataclass(frozen=True, slots=True)
class Up:
    """One `pintuan up` that printed its ready line."""

    process: asyncio.subprocess.Process
    url: str
    data_dir: Path

    def children(self) -> dict[str, int]:
        """Process ids of the children by what they run: postgres, redis, api, worker."""
        marks = {
            "postgres": "bin/postgres",
            "redis": "redis-server",
            "api": "api_process",
            "worker": "-m workers",
        }
        lines: dict[int, str] = {}
        for child in psutil.Process(self.process.pid).children():
            # One may end while we look.
            with contextlib.suppress(psutil.NoSuchProcess):
                lines[child.pid] = " ".join(child.cmdline())
        return {name: pid for name, mark in marks.items() for pid, line in lines.items() if mark in line}

    async def terminate(self) -> int:
        """Sends SIGTERM and answers the exit status."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_S_MAX):
            return await self.process.wait()


class Operator:
    """Starts marketplaces on one data directory and one port."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = _free_port()
        self._errors = data_dir.with_suffix(".stderr")
        self._started: list[asyncio.subprocess.Process] = []

    async def spawn(self, *options: str, **environ: str) -> asyncio.subprocess.Process:
        """Starts `pintuan up`; what it and its children say on stderr is kept for `errors`."""
        workers = "1" if find_spec("workers.__main__") else "0"
        with self._errors.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pintuan", "up", "--port", str(self.port)),
                *("--data-dir", str(self.data_dir), "--workers", workers, *options),
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=os.environ | environ,
            )
        self._started.append(process)
        return process

    def errors(self) -> str:
        """What the last start said on stderr."""
        return self._errors.read_text()

    async def up(self, *options: str) -> Up:
        """Starts `pintuan up` and waits for its ready line."""
        process = await self.spawn(*options)
        assert process.stdout is not None
        async with asyncio.timeout(START_S_MAX):
            line = (await process.stdout.readline()).decode()
            if not line.startswith(READY):
                pytest.fail(f"no ready line but {line!r} and {self.errors()}")
        return Up(process, line.removeprefix(READY).strip(), self.data_dir)

    async def close(self) -> None:
        """Ends whatever a failing test left running."""
        for process in self._started:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.communicate(), STOP_S_MAX)


@pytest.fixture
async def operator(own_directory: Path) -> AsyncIterator[Operator]:
    """An operator with a data directory of this test."""
    operator = Operator(own_directory / "data")
    yield operator
    await operator.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
