"""The Python processes of a marketplace: API, workers, the operator's endpoints and the demo."""

import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pintuan.base.stores.embedded.process import ChildCommand, ChildProcess
from pintuan.running.supervisor.readiness import ReadyPipe

API_STOP_STEPS = ((signal.SIGTERM, 12.0),)
WORKER_STOP_STEPS = ((signal.SIGTERM, 12.0),)


class PythonProcess:
    """One child that can be started again after it ended; it is ready as soon as it runs."""

    def __init__(self, command: ChildCommand, stop_steps: Sequence[tuple[signal.Signals, float]]) -> None:
        self._command = command
        self._stop_steps = stop_steps
        self._child: ChildProcess | None = None
        self.log = command.log

    @property
    def pid(self) -> int | None:
        """The process id, or None before the start."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Spawns the process. Raises OSError."""
        self._child = await ChildProcess.spawn(self._command)

    async def start_serving(self, within_s: float) -> None:
        """Spawns a process that tells when it serves, and waits until it does.

        Only API processes, workers and the operator's endpoints tell. Raises OSError and NeverReadyError.
        """
        pipe = ReadyPipe()
        try:
            fd = pipe.child_end
            arguments = [*self._command.arguments, "--ready-fd", str(fd)]
            command = replace(self._command, arguments=arguments, pass_fds=(*self._command.pass_fds, fd))
            try:
                self._child = await ChildProcess.spawn(command)
            finally:
                pipe.started()
            await pipe.wait(within_s)
        finally:
            pipe.close()

    async def wait_ready(self) -> None:
        """Returns at once; the marketplace asks the API itself whether it is ready."""

    async def wait(self) -> int:
        """Waits until the process has ended and answers its exit status."""
        if self._child is None:
            raise RuntimeError("the process was never started")
        return await self._child.wait()

    async def stop(self) -> None:
        """Asks the process to end, then kills it; bounded. Does nothing before the start."""
        if self._child:
            await self._child.stop(self._stop_steps)

    async def kill(self) -> None:
        """Kills the process. Does nothing before the start."""
        if self._child:
            await self._child.stop(())


def api_process(
    listener: socket.socket,
    environ: Mapping[str, str],
    log: Path | None,
    *,
    operator_only: bool = False,
    watches_workers: bool = False,
) -> PythonProcess:
    """A process that serves the connections of `listener`: the whole API, or only what an operator asks.

    A child that watches the workers of its node is ready only while they are at work.
    """
    fd = listener.fileno()
    arguments = [sys.executable, "-m", "pintuan.running.supervisor.api_process", "--fd", str(fd)]
    if operator_only:
        arguments.append("--operator-only")
    if watches_workers:
        arguments.append("--watch-workers")
    command = ChildCommand(arguments=arguments, environ=environ, log=log, pass_fds=(fd,))
    return PythonProcess(command, API_STOP_STEPS)


def worker_process(environ: Mapping[str, str], log: Path | None) -> PythonProcess:
    """A process that does what is due."""
    command = ChildCommand(arguments=[sys.executable, "-m", "workers"], environ=environ, log=log)
    return PythonProcess(command, WORKER_STOP_STEPS)


def demo_process(environ: Mapping[str, str]) -> PythonProcess:
    """The demo, which shares our terminal."""
    arguments = [sys.executable, "-m", "pintuan", "demo"]
    return PythonProcess(
        ChildCommand(arguments=arguments, environ=environ, in_terminal=True), WORKER_STOP_STEPS
    )
