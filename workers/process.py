"""One arq worker: which functions it offers, when its sweeps run, and how it ends.

What matters about arq here: an ordinary exception ends a job for good, which is right for jobs that a sweep
repeats; results are not kept, because a kept one blocks its job's id; a lost Redis ends the process, and a
supervisor starts it again.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from arq.cron import CronJob, cron
from arq.worker import Function, Worker, func

from pintuan.bootstrap import open_resources
from pintuan.doorbells import (
    QUEUE_NAME,
    Doorbell,
    answer,
    deserialize_job,
    open_queue,
    serialize_job,
)
from pintuan.identity.erasures import Eraser
from pintuan.metrics import JOB_FAILURES, QUEUE_LAG
from pintuan.notifications.channels import notifiers_of
from pintuan.notifications.courier import Courier
from pintuan.nudges.service import Nudger
from pintuan.payments.gateways import open_gateway, rules_of
from pintuan.tracing.gateway import TracedGateway
from workers.failures import report_failure
from workers.jobs import Jobs, Stores
from workers.people import People
from workers.webhooks import Webhooks

if TYPE_CHECKING:
    from arq.connections import ArqRedis
    from arq.typing import WorkerCoroutine

    from pintuan.bootstrap import Resources
    from pintuan.settings import Settings
    from pintuan.tracing.spans import Tracing

Job: TypeAlias = Callable[[], Awaitable[object]]

POLL_DELAY_S: Final = 0.05
JOBS_AT_ONCE_MAX: Final = 16
JOB_TIMEOUT_S: Final = 60
# A crashed worker's cron job is simply made again, and a doorbell has a new id each time it was answered.
TRIES_MAX: Final = 1
# Longer than a call to a gateway may take, shorter than a supervisor waits before it kills.
STOP_WAIT_S: Final = 7
ARCHIVE_SECONDS: Final = {15, 35, 55}
DAY_MS: Final = 24 * 3_600_000
EVERY_SECOND: Final = set(range(60))
EVERY_FIVE_SECONDS: Final = set(range(0, 60, 5))
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def run(settings: Settings, *, working: Callable[[], None] = lambda: None) -> None:
    """Works until SIGTERM or SIGINT, then finishes what is under way within `STOP_WAIT_S`.

    `working` is called once the stores are open and jobs are about to be taken.

    Raises:
        SettingsError: a URL is missing or cannot be used.
        OSError, asyncpg.PostgresError, redis.exceptions.RedisError: a store cannot be reached, or went away.
    """
    async with (
        open_resources(settings, application_name="pintuan-worker") as resources,
        open_queue(settings) as queue,
        open_gateway(settings, resources.pool) as opened,
    ):
        gateway = opened if resources.tracing is None else TracedGateway(opened, resources.tracing)
        stores = Stores(
            resources.pool,
            resources.engine,
            gateway,
            resources.signals.tell,
            calls_in_flight_max=rules_of(settings).calls_at_once_max,
            archive_after_ms=settings.archive_after_days * DAY_MS or None,
        )
        jobs = Jobs(stores)
        people = _people_of(resources)
        webhooks = Webhooks(resources)
        try:
            worker = make_worker(queue, jobs, people, webhooks, resources.tracing)
            working()
            await _work(worker, jobs)
        finally:
            await jobs.close()
            await people.close()
            await webhooks.close()


def _people_of(resources: Resources) -> People:
    settings = resources.settings
    notifiers = notifiers_of(settings, resources.resolver, now_s=resources.clock.now_s)
    courier = Courier(resources.pool, resources.keyring, notifiers, keeps_readable=settings.env == "dev")
    nudger = Nudger(resources.pool, resources.keyring, settings)
    eraser = Eraser(resources.pool, resources.engine)
    return People(resources.pool, resources.keyring, courier, nudger, eraser)


def make_worker(
    queue: ArqRedis, jobs: Jobs, people: People, webhooks: Webhooks, tracing: Tracing | None = None
) -> Worker:
    """Returns an arq worker for the jobs; make it inside the running event loop."""
    # arq reports every start and end of every job, several times a second.
    logging.getLogger("arq.worker").setLevel(logging.WARNING)
    return Worker(
        functions=_functions(queue, jobs, people, webhooks, tracing),
        cron_jobs=_sweeps(jobs, people, webhooks),
        queue_name=QUEUE_NAME,
        redis_pool=queue,
        job_serializer=serialize_job,
        job_deserializer=deserialize_job,
        handle_signals=False,
        job_completion_wait=STOP_WAIT_S,
        max_jobs=JOBS_AT_ONCE_MAX,
        job_timeout=JOB_TIMEOUT_S,
        keep_result=0,
        max_tries=TRIES_MAX,
        poll_delay=POLL_DELAY_S,
        timezone=UTC,
    )


def _functions(
    queue: ArqRedis, jobs: Jobs, people: People, webhooks: Webhooks, tracing: Tracing | None
) -> list[Function]:
    """What doorbells ask for, under the doorbells' names."""
    answers: dict[Doorbell, Job] = {
        "payments": jobs.drain_payments,
        "lifecycle": jobs.lifecycle.run,
        "seats": jobs.seats.run,
        "notifications": people.notifications.run,
        "webhooks": webhooks.deliveries.run,
    }
    return [
        func(_answering(queue, doorbell, job, tracing), name=doorbell) for doorbell, job in answers.items()
    ]


def _sweeps(jobs: Jobs, people: People, webhooks: Webhooks) -> list[CronJob]:
    """What is done without being asked for; spread over the second, to spare the stores."""
    every_second: dict[str, Job] = {
        "payments": jobs.sweep_payments,
        "lifecycle": jobs.lifecycle.run,
        "expiry": jobs.expiry.run,
        "seats": jobs.seats.run,
        "stock": jobs.stock.run,
        "nudges": people.nudges.run,
        "notifications": people.notifications.run,
        "webhooks": webhooks.deliveries.run,
    }
    step_us = 1_000_000 // len(every_second)
    return [
        *(
            cron(_counted(name, job), name=f"sweep:{name}", second=EVERY_SECOND, microsecond=number * step_us)
            for number, (name, job) in enumerate(every_second.items())
        ),
        cron(_counted("orphans", jobs.orphans.run), name="sweep:orphans", second=EVERY_FIVE_SECONDS),
        cron(_counted("samples", jobs.sample_payments), name="sweep:samples", second=EVERY_FIVE_SECONDS),
        # Each minute, because a pass is bounded, and to forget a busy hour takes more than one.
        cron(_counted("keys", jobs.keys.run), name="sweep:keys", second=0),
        cron(_counted("archive", jobs.archive.run), name="sweep:archive", second=ARCHIVE_SECONDS),
        cron(_counted("erasures", people.erasures.run), name="sweep:erasures", second=EVERY_SECOND),
        cron(_counted("tidying", people.tidying.run), name="sweep:tidying", second=30),
        cron(
            _counted("webhook samples", webhooks.sample),
            name="sweep:webhook samples",
            second=EVERY_FIVE_SECONDS,
        ),
        cron(_counted("webhook tidying", webhooks.tidying.run), name="sweep:webhook tidying", second=45),
    ]


def _answering(queue: ArqRedis, doorbell: Doorbell, job: Job, tracing: Tracing | None) -> WorkerCoroutine:
    async def answered(rung_at_us: int | None = None, traces: Sequence[str] = (), **_later: object) -> None:
        # What a ring may carry is up to its sender, which during a release may be older or newer than we are.
        now_us = await answer(queue, doorbell)
        if rung_at_us is not None:
            QUEUE_LAG.observe(max(0, now_us - rung_at_us) / 1_000_000)
        with nullcontext() if tracing is None else tracing.job(doorbell, traces):
            await job()

    return _counted(doorbell, answered)


def _counted(name: str, job: Callable[..., Awaitable[object]]) -> WorkerCoroutine:
    """Keeps failures from arq, which would log every one with its traceback; it drops the job either way."""
    # There from the start, so that a graph says 0 as long as none failed.
    JOB_FAILURES.labels(name)

    async def counted(ctx: dict[Any, Any], *_arguments: Any, **options: Any) -> None:  # noqa: ARG001 - arq's.
        try:
            await job(**options)
        except Exception as error:  # noqa: BLE001 - the sweeps repeat what this job did not do.
            report_failure(name, error)

    return counted


async def _work(worker: Worker, jobs: Jobs) -> None:
    """Runs the worker until a stop signal; a worker that ends by itself raises why."""
    stopping = asyncio.Event()

    def stop(number: signal.Signals) -> None:
        if stopping.is_set():
            return
        stopping.set()
        jobs.stop()
        worker.handle_sig_wait_for_completion(number)

    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        await worker.async_run()
    except asyncio.CancelledError:
        # This is how arq ends its main task after the stop signal. A cancellation of ours goes on.
        if not stopping.is_set():
            raise
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
        jobs.stop()
        await _finish(worker)


async def _finish(worker: Worker) -> None:
    """Lets jobs end, and cancels those that do not. arq's own `close` would also close the queue, our own."""
    if not worker.tasks:
        return
    await asyncio.wait(worker.tasks.values(), timeout=STOP_WAIT_S)
    for task in worker.tasks.values():
        task.cancel()
    # Their errors were logged by arq, or come from the lost Redis that is being reported already.
    await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
