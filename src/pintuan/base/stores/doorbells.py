"""Doorbells: queue messages that tell the workers to look in Postgres, and nothing more.

A doorbell is the name of the job that answers it.

A lost ring costs little, because sweeps look every second anyway. Ringing therefore never fails its caller
and never makes it wait. At most one job of each doorbell waits in the queue. arq refuses a second job of the
same id until the first has ended, so a fixed id would drop a ring that comes while the job is already past
its look at Postgres. The id therefore carries a generation, which the job raises before it looks. That look
sees the work of earlier rings, and a later ring makes a new job.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from arq.connections import ArqRedis
from redis.exceptions import RedisError

from groups.cluster_url import names_cluster
from groups.redis_url import pool_to
from pintuan.base.settings.settings import SettingsError
from pintuan.base.telemetry.metrics import DOORBELL_FAILURES

if TYPE_CHECKING:
    from pintuan.base.settings.settings import Settings

QUEUE_NAME: Final = "pintuan:queue"
# Workers look at the queue every 50 ms, so ringing more often gains little.
RING_GAP_S: Final = 0.04
# A job put into the queue and not answered is trusted to be there for this long; then it is put again.
TRUSTED_S: Final = 1.0
# A job nobody takes in this time is forgotten; the next ring makes another.
JOB_EXPIRY: Final = timedelta(hours=1)
SOCKET_TIMEOUT_S: Final = 2.0
CARRIERS_END_S: Final = 3.0
# The traces kept of those that led to one ring; work of the others is still done.
CARRIED_MAX: Final = 16
CONNECTION_COUNT_MAX: Final = 16
CONNECTION_WAIT_S: Final = 2.0
HEALTH_CHECK_INTERVAL_S: Final = 30

# arq compares a job's time with the clock of the worker's machine. A past time keeps skewed clocks from
# deciding when work is done; arq takes 0 for no time at all.
_LONG_AGO: Final = datetime(1970, 1, 1, microsecond=1000, tzinfo=UTC)

_logger = structlog.get_logger("pintuan.base.stores.doorbells")
_encoder = msgspec.msgpack.Encoder(enc_hook=repr)
_decoder = msgspec.msgpack.Decoder()


def serialize_job(job: dict[str, Any]) -> bytes:
    """Encodes what arq stores, as MessagePack: unlike pickle, reading it runs no code."""
    return _encoder.encode(job)


def deserialize_job(data: bytes) -> dict[str, Any]:
    """Decodes what `serialize_job` encoded."""
    job: dict[str, Any] = _decoder.decode(data)
    return job


@asynccontextmanager
async def open_queue(settings: Settings) -> AsyncIterator[ArqRedis]:
    """Opens the job queue for the life of the block; it connects at its first call.

    Raises:
        SettingsError: no URL is set, or only that of a cluster, which arq cannot use.
    """
    url = settings.queue_redis_url or settings.redis_url
    if url is None:
        raise SettingsError("PINTUAN_REDIS_URL", "not set; `pintuan up` sets it for the embedded Redis")
    if names_cluster(url):
        raise SettingsError(
            "PINTUAN_QUEUE_REDIS_URL",
            "required when PINTUAN_REDIS_URL is a cluster, which the queue cannot use",
        )
    pool = pool_to(
        url,
        max_connections=CONNECTION_COUNT_MAX,
        timeout=CONNECTION_WAIT_S,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        health_check_interval=HEALTH_CHECK_INTERVAL_S,
    )
    queue = ArqRedis(
        pool,
        job_serializer=serialize_job,
        job_deserializer=deserialize_job,
        default_queue_name=QUEUE_NAME,
    )
    try:
        yield queue
    finally:
        await queue.aclose(close_connection_pool=True)


class QueueAwayError(SettingsError):
    """The queue's Redis cannot be reached now; a caller that can do without it may go on."""


async def check_queue(settings: Settings) -> None:
    """Raises SettingsError when the queue cannot be used, QueueAwayError when it cannot be reached."""
    name = "PINTUAN_QUEUE_REDIS_URL" if settings.queue_redis_url else "PINTUAN_REDIS_URL"
    try:
        async with open_queue(settings) as queue:
            server = await queue.info("server")
    except (OSError, RedisError) as error:
        raise QueueAwayError(name, f"cannot reach Redis: {error or type(error).__name__}") from error
    if server.get("redis_mode") == "cluster":
        raise SettingsError(name, "this Redis is one of a cluster, which the queue cannot use")


class Doorbells:
    """Rings from one process. Rings of one doorbell that come while it is being rung are merged into one.

    `names` are all doorbells there are. `carrier` names the caller's trace, so that its work can be told from
    other work.
    """

    def __init__(
        self, queue: ArqRedis, names: Iterable[str], *, carrier: Callable[[], str | None] | None = None
    ) -> None:
        self._queue = queue
        self._rung = {doorbell: asyncio.Event() for doorbell in names}
        self._carrier = carrier
        self._carried: dict[str, list[str]] = {doorbell: [] for doorbell in self._rung}
        # The generation of the job put into the queue last, and until when it is trusted to wait there.
        self._waiting: dict[str, tuple[bytes, float]] = {}
        self._failing = False
        for doorbell in self._rung:
            # There from the start, so that a graph says 0 as long as none failed.
            DOORBELL_FAILURES.labels(doorbell)

    @property
    def names(self) -> list[str]:
        """The doorbells there are."""
        return list(self._rung)

    def ring(self, doorbell: str) -> None:
        """Asks for a look at due work; returns at once, whatever the queue does.

        Raises:
            KeyError: no job is named so.
        """
        self._rung[doorbell].set()
        if self._carrier is None or len(self._carried[doorbell]) >= CARRIED_MAX:
            return
        trace = self._carrier()
        if trace is not None:
            self._carried[doorbell].append(trace)

    async def carry(self, doorbell: str) -> None:
        """Carries the rings of one doorbell to the queue until it is cancelled."""
        rung = self._rung[doorbell]
        while True:
            await rung.wait()
            rung.clear()
            await self.send(doorbell)
            await asyncio.sleep(RING_GAP_S)

    async def send(self, doorbell: str) -> bool:
        """Sees to it that a job waits in the queue; returns whether the queue answered. It does not raise."""
        try:
            async with self._queue.pipeline(transaction=False) as pipeline:
                pipeline.get(_generation_key(doorbell))
                pipeline.time()
                generation, time = await pipeline.execute()
            generation = generation or b"0"
            if self._is_waiting(doorbell, generation):
                return True
            traces, self._carried[doorbell] = self._carried[doorbell], []
            await self._queue.enqueue_job(
                doorbell,
                rung_at_us=_microseconds(time),
                traces=traces,
                _job_id=f"{doorbell}:{generation.decode()}",
                _defer_until=_LONG_AGO,
                _expires=JOB_EXPIRY,
            )
            self._waiting[doorbell] = (generation, asyncio.get_running_loop().time() + TRUSTED_S)
        except (RedisError, OSError) as error:
            DOORBELL_FAILURES.labels(doorbell).inc()
            if not self._failing:
                _logger.warning("doorbell not rung; the sweeps find the work", error=repr(error))
            self._failing = True
            return False
        self._failing = False
        return True

    def _is_waiting(self, doorbell: str, generation: bytes) -> bool:
        """Says whether a job of this generation was just put into the queue, and none has answered since."""
        waiting = self._waiting.get(doorbell)
        if waiting is None or self._carried[doorbell]:
            return False
        return waiting[0] == generation and asyncio.get_running_loop().time() < waiting[1]


async def answer(queue: ArqRedis, doorbell: str) -> int:
    """Raises the doorbell's generation; a job does this first, before it looks at Postgres.

    Returns the queue's time in Unix microseconds. Rings are dated by it too, as machines' clocks differ.

    Raises:
        redis.exceptions.RedisError: the queue did not answer.
    """
    async with queue.pipeline(transaction=False) as pipeline:
        pipeline.incr(_generation_key(doorbell))
        pipeline.time()
        _, time = await pipeline.execute()
    return _microseconds(time)


@asynccontextmanager
async def open_doorbells(
    settings: Settings, names: Iterable[str], *, carrier: Callable[[], str | None] | None = None
) -> AsyncIterator[Doorbells]:
    """Opens the doorbells for the life of the block; rings not yet carried at its end are dropped.

    `names` and `carrier` are as for `Doorbells`.

    Raises:
        SettingsError: no queue can be used.
    """
    async with AsyncExitStack() as stack:
        queue = await stack.enter_async_context(open_queue(settings))
        doorbells = Doorbells(queue, names, carrier=carrier)
        carriers = [
            asyncio.create_task(doorbells.carry(doorbell), name=f"doorbell {doorbell}")
            for doorbell in doorbells.names
        ]
        try:
            yield doorbells
        finally:
            for task in carriers:
                task.cancel()
            # A cancellation that meets a failing socket can get lost on the way; nobody waits for it long.
            await asyncio.wait(carriers, timeout=CARRIERS_END_S)


def _microseconds(time: tuple[int, int]) -> int:
    seconds, microseconds = time
    return seconds * 1_000_000 + microseconds


def _generation_key(doorbell: str) -> str:
    return f"pintuan:doorbell:{doorbell}"
