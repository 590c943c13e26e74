"""The worker's own clock: it begins each sweep when its time has come, and asks nobody for that.

Sweeps find due work themselves, so they depend on nothing but this process and the stores they read. The job
queue has no part in them: it may be away, stand still or refuse everything, and work is still done.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pintuan.base.jobs.failures import report_failure
from pintuan.base.telemetry.metrics import JOB_FAILURES

Job: TypeAlias = Callable[[], Awaitable[object]]

# The second asks the first for one more look and ends; a third would only do the same.
UNDER_WAY_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Sweep:
    """A job done without a ring every `every_s` seconds, by every worker or by `one_for_all`."""

    name: str
    job: Job
    every_s: float
    one_for_all: bool = False


class Clock:
    """Begins the sweeps of one process on time, spread over their period; make it in a running event loop.

    A sweep that takes longer than its period is begun once more beside itself, and not again until one of the
    two has ended. Jobs merge the requests that come meanwhile.
    """

    def __init__(self, sweeps: Sequence[Sweep]) -> None:
        self._sweeps = tuple(sweeps)
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._under_way: dict[str, set[asyncio.Task[None]]] = {sweep.name: set() for sweep in self._sweeps}
        for sweep in self._sweeps:
            # There from the start, so that a graph says 0 as long as none failed.
            JOB_FAILURES.labels(sweep.name)

    @property
    def under_way(self) -> set[asyncio.Task[None]]:
        """The sweeps that have begun and not ended."""
        return {task for tasks in self._under_way.values() for task in tasks}

    def start(self) -> None:
        """Sets every sweep's first time, within its first period."""
        # By chance for each process, so that many of them do not ask the stores in step.
        phase = random.random()  # noqa: S311 - spreading needs no secrecy.
        now_s = self._loop.time()
        for number, sweep in enumerate(self._sweeps):
            self._set(sweep, now_s + (phase + number / len(self._sweeps)) % 1.0 * sweep.every_s)

    def stop(self) -> None:
        """Begins nothing more; sweeps under way go on."""
        for timer in self._timers.values():
            timer.cancel()

    def _set(self, sweep: Sweep, at_s: float) -> None:
        self._timers[sweep.name] = self._loop.call_at(at_s, self._strike, sweep, at_s)

    def _strike(self, sweep: Sweep, due_s: float) -> None:
        # A process that was stopped for a while owes no sweeps for that time.
        self._set(sweep, max(due_s, self._loop.time() - sweep.every_s) + sweep.every_s)
        under_way = self._under_way[sweep.name]
        if len(under_way) >= UNDER_WAY_MAX:
            return
        task = self._loop.create_task(self._run(sweep), name=f"sweep {sweep.name}")
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    async def _run(self, sweep: Sweep) -> None:
        try:
            await sweep.job()
        except Exception as error:  # noqa: BLE001 - the next sweep repeats what this one did not do.
            report_failure(sweep.name, error)
