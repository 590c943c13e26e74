"""What a ring carries is read by the queue's clock, and what a newer version adds to it is no trouble."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from arq.connections import ArqRedis
from prometheus_client import REGISTRY

from pintuan.doorbells import open_queue
from pintuan.settings import Settings
from workers.process import _answering

pytestmark = pytest.mark.anyio

HOUR_S = 3_600


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[ArqRedis]:
    async with open_queue(Settings(redis_url=redis_url)) as queue:
        yield queue


def waited_s() -> float:
    return REGISTRY.get_sample_value("pintuan_queue_lag_seconds_sum") or 0.0


async def test_a_ring_has_waited_for_as_long_as_the_queue_says(queue: ArqRedis) -> None:
    before_s = waited_s()
    now_s, _ = await queue.time()
    answered: list[str] = []

    async def work() -> None:
        answered.append("payments")

    ring = _answering(queue, "payments", work, None)
    await ring({}, rung_at_us=(now_s - HOUR_S) * 1_000_000)

    # What the test itself takes is far below the hour.
    assert round((waited_s() - before_s) / HOUR_S) == 1
    assert answered == ["payments"]


async def test_a_ring_of_another_version_is_answered_too(queue: ArqRedis) -> None:
    before_s = waited_s()
    answered: list[str] = []

    async def work() -> None:
        answered.append("payments")

    ring = _answering(queue, "payments", work, None)
    await ring({})
    await ring({}, traces=["nonsense"], something_new={"of": "a later version"})

    assert answered == ["payments", "payments"]
    assert waited_s() == before_s
