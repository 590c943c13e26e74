"""Answers doorbells for as long as the queue lets us, and listens again when it is back.

A ring only brings forward work that a sweep would find within its second, so the worker goes on whatever the
queue does. An outage is logged once, counted, and met with growing pauses.

About arq: a ring is answered as soon as its work has begun, so a killed worker leaves no job behind that
another looks for later. Results are not kept, because a kept one blocks its job's id. Any error of Redis ends
arq's worker, which is then made anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import structlog
from arq.worker import Function, Worker, func
from redis.exceptions import RedisError

from pintuan.base.jobs.failures import report_failure
from pintuan.base.stores.doorbells import QUEUE_NAME, answer, deserialize_job, serialize_job
from pintuan.base.telemetry.metrics import JOB_FAILURES, QUEUE_AWAY, QUEUE_LAG, QUEUE_OUTAGES
from pintuan.running.supervisor.backoff import DELAY_S_MAX, DELAY_S_MIN, jittered

if TYPE_CHECKING:
    from arq.connections import ArqRedis

    from pintuan.base.telemetry.tracing.spans import Tracing

Job: TypeAlias = Callable[[], Awaitable[object]]

POLL_DELAY_S: Final = 0.05
RINGS_AT_ONCE_MAX: Final = 16
# The time to raise a doorbell's generation and to begin its work.
RING_TIMEOUT_S: Final = 10
# A worker that is killed while it answers has its ring answered by another, which costs one look.
TRIES_MAX: Final = 5
# A queue that answered its first call and fails the next ones has not come back.
STEADY_S: Final = 1.0

_logger = structlog.get_logger("pintuan.workers")


class Rings:
    """One process's answers to rings; make it in a running event loop."""

    def __init__(self, queue: ArqRedis, answers: Mapping[str, Job], tracing: Tracing | None = None) -> None:
        # arq reports every start and end of every job, several times a second.
        logging.getLogger("arq.worker").setLevel(logging.WARNING)
        self._queue = queue
        self._answers = dict(answers)
        self._tracing = tracing
        self._work: set[asyncio.Task[None]] = set()
        self._away = False
        self._failed_in_a_row = 0
        self._settling: asyncio.TimerHandle | None = None
        QUEUE_AWAY.set(0)
        for doorbell in self._answers:
            # There from the start, so that a graph says 0 as long as none failed.
            JOB_FAILURES.labels(doorbell)

    @property
    def under_way(self) -> set[asyncio.Task[None]]:
        """The work that rings began and that has not ended."""
        return set(self._work)

    async def listen(self) -> None:
        """Answers rings until it is cancelled, whatever the queue does meanwhile; work under way goes on."""
        while True:
            _heed_cancellation()
            worker = self._worker()
            try:
                await worker.async_run()
            except (RedisError, OSError) as error:
                self._went_away(error)
            except Exception as error:  # noqa: BLE001 - a defect around the queue must not end the sweeps.
                self._went_away(error)
                report_failure("doorbells", error)
            finally:
                self._forget_settling()
                await _let_go(worker)
            # Connections that are left lead to a server that may be another by now.
            await self._queue.connection_pool.disconnect(inuse_connections=False)
            await asyncio.sleep(self._next_delay_s())

    async def ring(
        self, doorbell: str, rung_at_us: int | None = None, traces: Sequence[str] = (), **_later: object
    ) -> None:
        """Answers one ring: raises the doorbell's generation, then begins the work in the background.

        The content of a ring is up to its sender, which during a release may be older or newer than we are.

        Raises:
            redis.exceptions.RedisError: the queue did not answer.
        """
        now_us = await answer(self._queue, doorbell)
        if rung_at_us is not None:
            QUEUE_LAG.observe(max(0, now_us - rung_at_us) / 1_000_000)
        task = asyncio.create_task(self._do(doorbell, traces), name=f"ring of {doorbell}")
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _do(self, doorbell: str, traces: Sequence[str]) -> None:
        try:
            with nullcontext() if self._tracing is None else self._tracing.job(doorbell, traces):
                await self._answers[doorbell]()
        except Exception as error:  # noqa: BLE001 - the sweeps repeat what this did not do.
            report_failure(doorbell, error)

    def _worker(self) -> _RingWorker:
        return _RingWorker(
            functions=[self._function(doorbell) for doorbell in self._answers],
            queue_name=QUEUE_NAME,
            redis_pool=self._queue,
            job_serializer=serialize_job,
            job_deserializer=deserialize_job,
            handle_signals=False,
            on_startup=self._answered_first,
            max_jobs=RINGS_AT_ONCE_MAX,
            job_timeout=RING_TIMEOUT_S,
            keep_result=0,
            max_tries=TRIES_MAX,
            poll_delay=POLL_DELAY_S,
            timezone=UTC,
        )

    def _function(self, doorbell: str) -> Function:
        async def answered(ctx: dict[Any, Any], *_arguments: Any, **options: Any) -> None:  # noqa: ARG001
            try:
                await self.ring(doorbell, **options)
            except Exception as error:  # noqa: BLE001 - arq would log a traceback of each; it drops the job either way.
                report_failure(doorbell, error)

        return func(answered, name=doorbell)

    async def _answered_first(self, ctx: dict[Any, Any]) -> None:  # noqa: ARG002 - arq's.
        self._settling = asyncio.get_running_loop().call_later(STEADY_S, self._came_back)

    def _forget_settling(self) -> None:
        if self._settling is not None:
            self._settling.cancel()

    def _went_away(self, error: Exception) -> None:
        if not self._away:
            self._away = True
            QUEUE_AWAY.set(1)
            QUEUE_OUTAGES.inc()
            _logger.warning("queue away; the sweeps find the work", error=repr(error))

    def _came_back(self) -> None:
        self._failed_in_a_row = 0
        if self._away:
            self._away = False
            QUEUE_AWAY.set(0)
            _logger.warning("queue answers again")

    def _next_delay_s(self) -> float:
        delay_s = min(DELAY_S_MAX, DELAY_S_MIN * 2.0**self._failed_in_a_row)
        # The exponent stops growing with the delay.
        if delay_s < DELAY_S_MAX:
            self._failed_in_a_row += 1
        return jittered(delay_s)


class _RingWorker(Worker):
    """Knows which of its jobs are being ended: arq shields that, and forgets it once cancelled."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.endings: set[asyncio.Task[Any]] = set()

    async def heart_beat(self) -> None:
        """Ends each look for rings, and all of them once we are cancelled."""
        _heed_cancellation()
        await super().heart_beat()

    async def finish_job(self, *arguments: Any, **options: Any) -> None:
        self._keep_ending()
        await super().finish_job(*arguments, **options)

    async def finish_failed_job(self, *arguments: Any, **options: Any) -> None:
        self._keep_ending()
        await super().finish_failed_job(*arguments, **options)

    def _keep_ending(self) -> None:
        if task := asyncio.current_task():
            self.endings.add(task)
            task.add_done_callback(self._forget_ending)

    def _forget_ending(self, task: asyncio.Task[Any]) -> None:
        self.endings.discard(task)
        # Its job raises the error too, unless it was cancelled; then nobody else would ask for it.
        if not task.cancelled():
            task.exception()


def _heed_cancellation() -> None:
    """Raises CancelledError in a task that was cancelled and goes on.

    redis-py can lose a cancellation that meets an answer or a failing socket: `asyncio.wait_for` of Python
    3.11 then returns the awaited result instead. A loop that handles every other error would never end.
    """
    if (task := asyncio.current_task()) and task.cancelling():
        raise asyncio.CancelledError


async def _let_go(worker: _RingWorker) -> None:
    """Ends the answers under way, which have begun no work yet; arq's own `close` would close the queue."""
    for task in worker.tasks.values():
        task.cancel()
    # Their errors come from the queue that failed, which is being told already. An ending waits
    # no longer than the queue's connections do.
    await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
    await asyncio.gather(*worker.endings, return_exceptions=True)
