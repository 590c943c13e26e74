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
from pintuan.base.stores.embedded.data_directory import DataDirectory
from pintuan.base.stores.embedded.process import ChildCommand, ChildProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_WAIT_S: Final = 90.0
START_POLL_S: Final = 0.05
STOP_STEPS: Final = ((signal.SIGTERM, 60.0),)
CHILDREN: Final = {"api": "pintuan.running.supervisor.api_process", "worker": "-m workers"}


class NodeError(Exception):
    """A node did not start; the text says which, and the end of what it said."""


class Node:
    """A supervisor and its children, which can be started again after they ended.

    `returning` says that a fault started it, so that it may find a store away and give up.
    """

    def __init__(self, name: str, directory: Path, port: int, environ: Mapping[str, str]) -> None:
        self.name = name
        self.port = port
        self.returning = False
        self._log = directory / "log" / f"{name}.log"
        self._data = DataDirectory(directory / name)
        self._environ = {**os.environ, **environ}
        self._process: ChildProcess | None = None
        self._wanted = False
        self._stopped_pids: set[int] = set()

    async def spawn(self, *, workers: int = 1, **variables: str) -> None:
        """Starts the supervisor and waits for nothing."""
        command = [sys.executable, "-m", "pintuan", "up", "--host", HOST, "--port", str(self.port)]
        command += ["--data-dir", str(self._data.path), "--api-workers", "1", "--workers", str(workers)]
        self._process = await ChildProcess.spawn(
            ChildCommand(arguments=command, environ={**self._environ, **variables}, log=self._log)
        )
        self._wanted = True

    async def wait_ready(self) -> None:
        """Waits until it is ready for the first time. Raises NodeError when it ends or is not in time."""
        process = self._started()
        try:
            async with asyncio.timeout(START_WAIT_S):
                while not self._is_running(process.pid):
                    if process.returncode is not None:
                        raise NodeError(f"{self.name} did not start: it exited with {process.returncode}")
                    await asyncio.sleep(START_POLL_S)
        except TimeoutError:
            raise NodeError(f"{self.name} was not ready in {START_WAIT_S:.0f} s") from None

    @property
    def ended_with(self) -> int | None:
        """The exit status of a supervisor that ended although nobody asked it to; None while all is well."""
        return self._process.returncode if self._wanted and self._process is not None else None

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
        children = [child.pid for name in names for child in self.children(name)]
        for pid in children if names else [self._started().pid]:
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
        self._wanted = False
        await self._started().stop(())

    async def stop(self) -> None:
        """Ends the node in order, or by kill where that takes too long."""
        self._wanted = False
        self.resume()
        if self._process is not None:
            await self._process.stop(STOP_STEPS)

    def _is_running(self, pid: int) -> bool:
        found = self._data.running()
        return found is not None and found.pid == pid

    def _started(self) -> ChildProcess:
        if self._process is None:
            raise NodeError(f"node {self.name} was never started")
        return self._process


def _signalled(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
