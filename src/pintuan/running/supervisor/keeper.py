"""Keeps one process alive until it is told to stop."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pintuan.base.stores.embedded import EmbeddedError
from pintuan.base.stores.embedded.process import log_tail
from pintuan.running.supervisor.backoff import (
    BOOT_RESTARTS_MAX,
    RESTARTS_MAX,
    STORE_AWAY_RESTARTS_MAX,
    STORE_AWAY_STATUS,
    Backoff,
)
from pintuan.running.supervisor.errors import CrashLoopError

SHOWN_LOG_LINES_MAX = 20
SERVING_WAIT_S_MAX = 30.0
"""Far longer than a process takes to open its stores, also on a busy machine."""


class Restartable(Protocol):
    """A process one can start again: an embedded server, or a child of ours."""

    @property
    def log(self) -> Path | None:
        """Where its output goes, or None for our own stderr."""

    @property
    def pid(self) -> int | None:
        """The process id, or None before the start."""

    async def start(self) -> None:
        """Starts the process."""

    async def wait_ready(self) -> None:
        """Waits until it can be used."""

    async def wait(self) -> int:
        """Waits until it has ended."""

    async def stop(self) -> None:
        """Ends it, in order."""

    async def kill(self) -> None:
        """Ends it now."""


class Successor(Restartable, Protocol):
    """A process that can tell when it serves, so that it may take another's place."""

    async def start_serving(self, within_s: float) -> None:
        """Starts the process and waits until it serves; raises OSError or NeverReadyError."""


class Keeper:
    """Starts a process and starts it again whenever it dies, with growing pauses.

    `report` gets a line for the operator for each death; `died` gets the process id.
    """

    def __init__(
        self,
        name: str,
        process: Restartable,
        *,
        report: Callable[[str], None],
        died: Callable[[int], None] = lambda _pid: None,
    ) -> None:
        self.name = name
        self.process = process
        self._report = report
        self._died = died
        self._backoff = Backoff()
        self._stopping = asyncio.Event()
        self._starting = asyncio.Lock()
        self._boot = True
        self._retiring: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts the process for the first time and waits until it is ready.

        Raises EmbeddedError or OSError.
        """
        async with self._starting:
            await self.process.start()
        await self.process.wait_ready()

    def booted(self) -> None:
        """Allows the process more deaths from now on; the marketplace was ready once."""
        self._boot = False

    async def keep(self) -> None:
        """Restarts the process until `stop`. Raises CrashLoopError when it dies too often."""
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            process = self.process
            status = await process.wait()
            if process.pid is not None:
                self._died(process.pid)
            if self._stopping.is_set():
                return
            if process is not self.process:
                continue
            delay_s = self._backoff.next_delay_s(loop.time() - started_s, self._restarts_max(status))
            if delay_s is None:
                raise CrashLoopError(self._last_words(status))
            self._report(f"{self.name} {ending(status)}; starting it again in {delay_s:.1f} s")
            if await self._stopped_within(delay_s):
                return
            await self._restart(process)

    async def replace(self, successor: Successor) -> None:
        """Puts a successor, not started yet, in the process' place; the old one ends once the new one serves.

        Raises OSError or NeverReadyError when the successor does not come to serve; then the old one stays.
        """
        replaced = False
        try:
            await successor.start_serving(SERVING_WAIT_S_MAX)
            async with self._starting:
                if not self._stopping.is_set():
                    self._retiring = asyncio.create_task(self.process.stop())
                    self.process = successor
                    replaced = True
        finally:
            if not replaced:
                await successor.kill()
        if self._retiring:
            # Shielded: an impatient caller must not leave a process that was asked to end half-way.
            await asyncio.shield(self._retiring)

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ends the process for good: in order, or by kill once `hurry` is set. No-op if it never ran."""
        self._stopping.set()
        # A spawn under way is waited for: a process we do not know of could not be stopped.
        async with self._starting:
            orderly = asyncio.create_task(self.process.stop())
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait({orderly, hurried}, return_when=asyncio.FIRST_COMPLETED)
        if not orderly.done():
            await self.process.kill()
        hurried.cancel()
        await orderly
        if self._retiring:
            await self._retiring

    def _restarts_max(self, status: int) -> int:
        if self._boot:
            return BOOT_RESTARTS_MAX
        return STORE_AWAY_RESTARTS_MAX if status == STORE_AWAY_STATUS else RESTARTS_MAX

    async def _restart(self, process: Restartable) -> None:
        try:
            async with self._starting:
                if self._stopping.is_set() or process is not self.process:
                    return
                await process.start()
            await process.wait_ready()
        except (EmbeddedError, OSError) as error:
            # Counted like a death: the loop sees the ended process and tries again, or gives up.
            self._report(f"{self.name} did not start: {error}")
            await process.stop()

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    def _last_words(self, status: int) -> str:
        first = f"{self.name} keeps ending: it last {ending(status)}"
        if self.process.log is None:
            return f"{first}; its output is above"
        lines = log_tail(self.process.log)[-SHOWN_LOG_LINES_MAX:]
        return "\n".join([f"{first}; the end of {self.process.log}:", *lines])


def ending(status: int) -> str:
    """How a process ended, in words: `exited with 1`, `was ended by SIGKILL`."""
    if status >= 0:
        return f"exited with {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
