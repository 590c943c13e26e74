"""One kind of work that is begun at every request, beside earlier work of its kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pintuan.base.jobs.failures import report_failure
from pintuan.base.jobs.passes import PASS_S_MAX


class SideBySide:
    """Begins `work` each time; for work that itself merges what is asked of it meanwhile."""

    def __init__(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        self._name = name
        self._work = work
        self._background: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def run(self) -> None:
        """Does the work; raises what `work` raises."""
        # Work bounds itself far below; work that hangs is given up.
        async with asyncio.timeout(PASS_S_MAX):
            await self._work()

    def ask(self) -> None:
        """Begins the work in the background; its failure is told and counted."""
        if self._closed:
            return
        task = asyncio.create_task(self._run_guarded(), name=f"{self._name} in the background")
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def ask_in(self, delay_s: float) -> None:
        """Begins it after `delay_s`; a later call replaces an earlier one."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self.ask)

    async def close(self) -> None:
        """Begins nothing more, and waits for work under way in the background."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._background:
            await asyncio.wait(self._background)

    async def _run_guarded(self) -> None:
        try:
            await self.run()
        except Exception as error:  # noqa: BLE001 - nobody awaits work in the background, so it ends here.
            report_failure(self._name, error)
