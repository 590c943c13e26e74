"""A doorbell leaves one job in the queue, loses no ring, and never fails who rings it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from arq.connections import ArqRedis
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.base.stores.doorbells import (
    QUEUE_NAME,
    Doorbells,
    answer,
    deserialize_job,
    open_doorbells,
    open_queue,
    serialize_job,
)
from pintuan.base.stores.embedded import EmbeddedRedis

pytestmark = pytest.mark.anyio

DOORBELLS = ["payments", "lifecycle", "seats"]


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url)


@pytest.fixture
async def queue(settings: Settings) -> AsyncIterator[ArqRedis]:
    async with open_queue(settings) as queue:
        yield queue


async def queued(queue: ArqRedis) -> list[str]:
    return [job.function for job in await queue.queued_jobs()]


def failures() -> float:
    labels = {"doorbell": "payments"}
    return REGISTRY.get_sample_value("pintuan_doorbell_failures_total", labels) or 0


async def test_however_often_it_is_rung_one_job_waits(queue: ArqRedis) -> None:
    doorbells = Doorbells(queue, DOORBELLS)

    for _ in range(5):
        assert await doorbells.send("payments")
    await doorbells.send("seats")

    assert sorted(await queued(queue)) == ["payments", "seats"]


async def test_a_ring_after_the_job_began_to_look_makes_another_job(queue: ArqRedis) -> None:
    doorbells = Doorbells(queue, DOORBELLS)
    await doorbells.send("payments")
    # The first job is still running, so its id is still taken.
    await answer(queue, "payments")

    await doorbells.send("payments")

    assert await queued(queue) == ["payments", "payments"]


async def test_a_ring_and_its_answer_are_dated_by_the_queues_own_clock(queue: ArqRedis) -> None:
    doorbells = Doorbells(queue, DOORBELLS)
    before_s, _ = await queue.time()

    await doorbells.send("payments")
    await doorbells.send("payments")
    (job,) = await queue.queued_jobs()
    answered_us = await answer(queue, "payments")

    assert before_s * 1_000_000 <= job.kwargs["rung_at_us"] <= answered_us


async def test_no_machines_clock_delays_a_job(queue: ArqRedis) -> None:
    await Doorbells(queue, DOORBELLS).send("lifecycle")

    ((_, score),) = await queue.zrange(QUEUE_NAME, 0, -1, withscores=True)
    assert 0 < score < 1000


async def test_a_ring_is_carried_in_the_background(settings: Settings, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, redis.pubsub() as pubsub:
        await redis.config_set("notify-keyspace-events", "Kz")
        await pubsub.subscribe(f"__keyspace@0__:{QUEUE_NAME}")
        async with open_doorbells(settings, DOORBELLS) as doorbells:
            doorbells.ring("lifecycle")
            heard = [await anext(aiter(pubsub.listen())) for _ in range(2)]
        await redis.config_set("notify-keyspace-events", "")

    assert heard[1]["data"] == b"zadd"


async def test_a_dead_queue_fails_nobody_and_is_counted(own_redis: EmbeddedRedis) -> None:
    before = failures()
    async with open_queue(Settings(redis_url=own_redis.url)) as queue:
        doorbells = Doorbells(queue, DOORBELLS)
        assert await doorbells.send("payments")
        await own_redis.kill()

        assert not await doorbells.send("payments")
        assert not await doorbells.send("payments")
        await own_redis.start()
        await own_redis.wait_ready()
        assert await doorbells.send("payments")

    assert failures() == before + 2


async def test_ringing_a_dead_bell_returns_at_once(own_redis: EmbeddedRedis) -> None:
    async with open_doorbells(Settings(redis_url=own_redis.url), DOORBELLS) as doorbells:
        await own_redis.kill()
        doorbells.ring("payments")
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        (Settings(), "PINTUAN_REDIS_URL"),
        (Settings(redis_url="redis+cluster://localhost:7000"), "PINTUAN_QUEUE_REDIS_URL"),
    ],
)
async def test_a_queue_needs_a_single_redis(settings: Settings, variable: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        async with open_queue(settings):
            pass

    assert refusal.value.variable == variable


def test_jobs_are_not_pickled() -> None:
    job: dict[str, object] = {"t": None, "f": "payments", "a": (), "k": {}, "et": 1, "r": ValueError("odd")}

    assert deserialize_job(serialize_job(job)) == job | {"a": [], "r": "ValueError('odd')"}
