"""One worker process: it does the jobs of all nouns by its own clock, and sooner when a doorbell rings.

Nothing here ends because of a store's outage after the start. The next sweeps repeat those that met one, and
the queue is only listened to (`rings`).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from pintuan import nouns
from pintuan.base.jobs.process_jobs import ProcessJobs, open_jobs
from pintuan.base.stores.doorbells import open_queue
from pintuan.bootstrap import open_resources
from workers.clock import Clock, Sweep
from workers.rings import Rings
from workers.turns import in_turns

if TYPE_CHECKING:
    from pintuan.base.settings.settings import Settings
    from workers.clock import Job

# Longer than a call to a gateway may take, shorter than a supervisor waits before it kills.
STOP_WAIT_S: Final = 7
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def run(settings: Settings, *, working: Callable[[], None] = lambda: None) -> None:
    """Works until SIGTERM or SIGINT, then finishes what is under way within `STOP_WAIT_S`.

    `working` is called once the stores are open and sweeps are about to begin.

    Raises:
        SettingsError: a URL is missing or cannot be used.
        OSError, asyncpg.PostgresError, redis.exceptions.RedisError: a store cannot be reached at the start.
    """
    async with (
        open_resources(settings, application_name="pintuan-worker") as resources,
        open_queue(settings) as queue,
        open_jobs(resources, nouns.jobs()) as jobs,
    ):
        clock = Clock(in_turns(resources.pool, sweeps_of(jobs)))
        rings = Rings(queue, answers_of(jobs), resources.tracing)
        working()
        await _work(clock, rings, jobs)


def answers_of(jobs: ProcessJobs) -> dict[str, Job]:
    """The work that doorbells ask for."""
    return {job.name: partial(jobs.run, job.name) for job in jobs.declared if job.has_doorbell}


def sweeps_of(jobs: ProcessJobs) -> list[Sweep]:
    """The work done without a ring."""
    return [
        Sweep(job.name, partial(jobs.run, job.name), every_s=job.every_s, one_for_all=job.one_for_all)
        for job in jobs.declared
    ]


async def _work(clock: Clock, rings: Rings, jobs: ProcessJobs) -> None:
    """Sweeps and answers rings until a stop signal, then lets what has begun come to its end."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stopping.set)
    clock.start()
    listening = asyncio.create_task(rings.listen(), name="rings")
    try:
        await stopping.wait()
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
        clock.stop()
        jobs.stop()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await _finish(clock.under_way | rings.under_way)


async def _finish(tasks: set[asyncio.Task[None]]) -> None:
    """Lets the tasks end, and cancels those that do not in time."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=STOP_WAIT_S)
    for task in late:
        task.cancel()
    # None of them raises: an error in a job is reported where the job ends.
    await asyncio.gather(*late, return_exceptions=True)
