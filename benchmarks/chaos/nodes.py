"""A node: one `pintuan up` with an API process and a worker, on stores that other nodes use as well."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import psutil

from benchmarks.chaos.wire import HOST
from pintuan.embedded.process import open_log

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

READY: Final = "Pintuan is ready at "
START_WAIT_S: Final = 90.0
STOP_WAIT_S: Final = 60.0
CHILDREN: Final = {"api": "pintuan.supervisor.api_process", "worker": "-m workers"}
PORT_VARIABLE: Final = "PINTUAN_HTTP_PORT"


class NodeError(Exception):
    """A node did not start; the text says which, and the end of what it said."""


class Node:
    """A supervisor and its children, which can be started again after they ended."""

    def __init__(self, name: str, directory: Path, port: int, environ: Mapping[str, str]) -> None:
        self.name = name
        self.port = port
        self.log = directory / "log" / f"{name}.log"
        self._data = directory / name
        self._environ = dict(environ)
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._stopped_pids: set[int] = set()
        self.wanted = False
        self.returning = False
        """Whether a fault started it, so that it may find a store away and give up."""

    async def spawn(self, *, workers: int = 1, **variables: str) -> None:
        """Starts the supervisor and waits for nothing."""
        command = [sys.executable, "-m", "pintuan", "up", "--host", HOST, "--port", str(self.port)]
        command += ["--data-dir", str(self._data), "--api-workers", "1", "--workers", str(workers)]
        errors = open_log(self.log)
        self._ready = asyncio.Event()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, **self._environ, **variables},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        finally:
            os.close(errors)
        self.wanted = True
        self._reading = asyncio.create_task(self._read(self._process, self._ready))

    async def wait_ready(self) -> None:
        """Waits for the ready line. Raises NodeError when the supervisor ends or does not come to it."""
        process = self._started()
        ready = asyncio.create_task(self._ready.wait())
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({ready, ended}, timeout=START_WAIT_S, return_when=asyncio.FIRST_COMPLETED)
            if not self._ready.is_set():
                raise NodeError(f"node {self.name} did not start (exit status {process.returncode})")
        finally:
            ready.cancel()
            ended.cancel()

    @property
    def ended_with(self) -> int | None:
        """The exit status of a supervisor that ended although nobody asked it to; None while all is well."""
        return self._process.returncode if self.wanted and self._process is not None else None

    def children(self, name: str) -> list[psutil.Process]:
        """The running children of this name, one of `CHILDREN`."""
        found = []
        with suppress(psutil.Error):
            for child in psutil.Process(self._started().pid).children():
                with suppress(psutil.Error):
                    if CHILDREN[name] in " ".join(child.cmdline()):
                        found.append(child)
        return found

    def kill(self, *names: str) -> None:
        """Ends children by SIGKILL."""
        for name in names:
            for child in self.children(name):
                with suppress(psutil.Error):
                    child.kill()

    def pause(self, *names: str) -> None:
        """Stops children, or the supervisor where none are named."""
        pids = [child.pid for name in names for child in self.children(name)] or [self._started().pid]
        for pid in pids:
            if _signalled(pid, signal.SIGSTOP):
                self._stopped_pids.add(pid)

    def resume(self) -> None:
        """Lets go on whatever was stopped."""
        for pid in self._stopped_pids:
            _signalled(pid, signal.SIGCONT)
        self._stopped_pids.clear()

    def roll(self) -> None:
        """Asks for new children."""
        _signalled(self._started().pid, signal.SIGHUP)

    async def kill_supervisor(self) -> None:
        """Ends the supervisor by SIGKILL and waits until it is gone; its children follow by themselves."""
        self.wanted = False
        process = self._started()
        with suppress(ProcessLookupError):
            process.kill()
        await self._gone(process)

    async def stop(self) -> None:
        """Ends the node in order, or by kill where that takes too long."""
        self.wanted = False
        self.resume()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_WAIT_S)
        except TimeoutError:
            process.kill()
        await self._gone(process)

    async def _gone(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self, process: asyncio.subprocess.Process, ready: asyncio.Event) -> None:
        assert process.stdout is not None  # noqa: S101 - it is a pipe.
        while line := await process.stdout.readline():
            if line.decode().startswith(READY):
                ready.set()

    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise NodeError(f"node {self.name} was never started")
        return self._process


def _signalled(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
