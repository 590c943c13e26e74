"""One kind of work, done in passes that never overlap within a process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from pintuan.base.jobs.failures import report_failure
from pintuan.base.telemetry.metrics import note_sweep

# No pass needs this long; one that hangs is given up, so that the next one is made.
PASS_S_MAX: Final = 60
# Far more than ever follow each other; the next sweep finds the rest.
PASSES_IN_A_ROW_MAX: Final = 1000


class Passes:
    """Runs `work` whenever asked; asked while a pass is under way, it makes one more afterwards."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._work = work
        self._running = False
        self._asked = False
        self._background: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def run(self) -> None:
        """Makes passes until nobody has asked for another; raises what `work` raises.

        Returns at once while another caller is at it, who then makes one more pass.
        """
        self._asked = True
        if self._running or self._closed:
            return
        self._running = True
        try:
            for _ in range(PASSES_IN_A_ROW_MAX):
                if not self._asked:
                    break
                self._asked = False
                await self._pass()
        finally:
            self._running = False

    def ask(self) -> None:
        """Asks for a pass in the background; its failure is told and counted."""
        self._asked = True
        if not self._running and not self._closed and (self._background is None or self._background.done()):
            self._background = asyncio.create_task(self._run_guarded(), name=f"passes of {self._name}")

    def ask_in(self, delay_s: float) -> None:
        """Asks for a pass after `delay_s`; a later call replaces an earlier one."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self.ask)

    async def close(self) -> None:
        """Makes no more passes, and waits for the one in the background."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._background is not None:
            await asyncio.wait({self._background})

    async def _pass(self) -> None:
        try:
            async with asyncio.timeout(PASS_S_MAX):
                await self._work()
        except ExceptionGroup:
            # Some rows failed, and it went through all the others.
            note_sweep(self._name)
            raise
        note_sweep(self._name)

    async def _run_guarded(self) -> None:
        try:
            await self.run()
        except Exception as error:  # noqa: BLE001 - nobody awaits a pass in the background, so it ends here.
            report_failure(self._name, error)


ROUNDS_MAX: Final = 50


async def until_nothing_left(work: Callable[[int], Awaitable[int]], limit: int) -> int:
    """Repeats `work` until it handles nothing; returns how many rows it handled.

    After `ROUNDS_MAX` rounds the rest is left to the next sweep.
    """
    total = 0
    for _ in range(ROUNDS_MAX):
        count = await work(limit)
        total += count
        if count == 0:
            break
    return total
