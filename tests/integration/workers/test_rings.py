"""What a ring carries is read by the queue's clock, and what a newer version adds to it is no trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from arq.connections import ArqRedis
from arq.constants import retry_key_prefix
from prometheus_client import REGISTRY

from pintuan.base.settings.settings import Settings
from pintuan.base.stores.doorbells import QUEUE_NAME, Doorbells, open_queue
from tests.waiting import until
from workers.rings import Rings

pytestmark = pytest.mark.anyio

DOORBELLS = ["payments"]

HOUR_S = 3_600


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[ArqRedis]:
    async with open_queue(Settings(redis_url=redis_url)) as queue:
        yield queue


def waited_s() -> float:
    return REGISTRY.get_sample_value("pintuan_queue_lag_seconds_sum") or 0.0


class Work:
    """What a ring asks for; it says when it was done."""

    def __init__(self) -> None:
        self.count = 0
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def __call__(self) -> None:
        await self.let_go.wait()
        self.count += 1


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def rings(queue: ArqRedis, work: Work) -> Rings:
    return Rings(queue, {"payments": work})


async def test_a_ring_has_waited_for_as_long_as_the_queue_says(
    queue: ArqRedis, rings: Rings, work: Work
) -> None:
    before_s = waited_s()
    now_s, _ = await queue.time()

    await rings.ring("payments", rung_at_us=(now_s - HOUR_S) * 1_000_000)
    await asyncio.gather(*rings.under_way)

    # What the test itself takes is far below the hour.
    assert round((waited_s() - before_s) / HOUR_S) == 1
    assert work.count == 1


async def test_a_ring_of_another_version_is_answered_too(rings: Rings, work: Work) -> None:
    before_s = waited_s()

    await rings.ring("payments")
    await rings.ring("payments", traces=["nonsense"], something_new={"of": "a later version"})
    await asyncio.gather(*rings.under_way)

    assert work.count == 2
    assert waited_s() == before_s


async def test_a_worker_killed_in_a_job_leaves_nothing_in_the_queue_to_be_looked_for(
    queue: ArqRedis, rings: Rings, work: Work
) -> None:
    work.let_go.clear()
    listening = asyncio.create_task(rings.listen())
    assert await Doorbells(queue, DOORBELLS).send("payments")
    await until(lambda: _is_at_work(rings))
    await until(lambda: _is_empty(queue))

    # As a kill would, this ends the listening while the work is under way.
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert work.count == 0
    work.let_go.set()
    await asyncio.gather(*rings.under_way)


async def test_a_ring_whose_worker_was_killed_before_the_work_began_is_answered_by_another(
    queue: ArqRedis, rings: Rings, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    assert await Doorbells(queue, DOORBELLS).send("payments")
    (job,) = await queue.zrange(QUEUE_NAME, 0, -1)
    # What arq notes when a worker takes a job; it died, and its claim has run out.
    await queue.incr(retry_key_prefix + job.decode())

    listening = asyncio.create_task(rings.listen())
    await until(lambda: _has_worked(work))
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)

    assert [record for record in caplog.records if record.name.startswith("arq")] == []


async def _is_at_work(rings: Rings) -> bool:
    return bool(rings.under_way)


async def _has_worked(work: Work) -> bool:
    return work.count > 0


async def _is_empty(queue: ArqRedis) -> bool:
    return not await queue.zcard(QUEUE_NAME) and not [
        key async for key in queue.scan_iter("arq:in-progress:*")
    ]
