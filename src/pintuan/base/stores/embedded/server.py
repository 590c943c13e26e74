"""The common part of both embedded servers: one child process over one directory, started under its lock."""

import os
import re
import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pintuan.base.stores.embedded.process import (
    ChildCommand,
    ChildProcess,
    EmbeddedError,
    last_complaint,
    lock_directory,
)

READY_WAIT_S_MAX = 60.0
READY_POLL_S = 0.02


class EmbeddedServer(ABC):
    """A server of ours: `prepare` once, then `start`, `wait_ready` and `stop` as often as wanted."""

    name: ClassVar[str]
    stop_steps: ClassVar[Sequence[tuple[signal.Signals, float]]]
    """Signals of a shutdown and the seconds each is given; a kill follows the last."""
    complaint: ClassVar[re.Pattern[str]]
    """The pattern of a log line that says why the server ended."""

    def __init__(self, directory: Path, log: Path | None) -> None:
        self.directory = directory.absolute()
        self.log = log.absolute() if log else self.directory.with_name(self.directory.name + ".log")
        self._child: ChildProcess | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients reach the server; known once prepared."""

    @abstractmethod
    def prepare(self) -> None:
        """Makes what the server needs on disk. Raises EmbeddedError when it cannot."""

    @abstractmethod
    async def wait_ready(self) -> None:
        """Waits until the server answers. Raises EmbeddedError when it ends, or not in `READY_WAIT_S_MAX`."""

    @property
    def pid(self) -> int | None:
        """The server's process id, or None before the start."""
        return self._child.pid if self._child else None

    @property
    def returncode(self) -> int | None:
        """The exit status, or None while it runs and before the start."""
        return self._child.returncode if self._child else None

    async def start(self) -> None:
        """Waits until a dying predecessor is gone, then spawns the server; it is not ready yet.

        Raises EmbeddedError.
        """
        self._require_prepared()
        lock = await lock_directory(self.directory, self.name)
        try:
            self._child = await ChildProcess.spawn(self._command(lock))
        except OSError as error:
            raise EmbeddedError(f"cannot start {self.name} in {self.directory}: {error.strerror}") from error
        finally:
            os.close(lock)

    async def wait(self) -> int:
        """Waits until the server has ended and answers its exit status."""
        return await self._started().wait()

    async def stop(self) -> None:
        """Shuts the server down, by kill if it must be; bounded. Does nothing before the start."""
        if self._child:
            await self._child.stop(self.stop_steps)

    async def kill(self) -> None:
        """Kills the server without a chance to write anything, as a crash would; for tests."""
        await self._started().stop(())

    @abstractmethod
    def _require_prepared(self) -> None:
        """Raises RuntimeError when `prepare` was not called."""

    @abstractmethod
    def _command(self, lock: int) -> ChildCommand:
        """The command that runs the server, which inherits the descriptor `lock`; called when no predecessor
        is left.
        """

    def _started(self) -> ChildProcess:
        if self._child is None:
            raise RuntimeError("the server was never started")
        return self._child

    def _complaint(self) -> str:
        return last_complaint(self.log, self.complaint)

    def _late(self) -> EmbeddedError:
        return EmbeddedError(
            f"{self.name} in {self.directory} was not ready in {READY_WAIT_S_MAX:.0f} s: {self._complaint()}"
        )
