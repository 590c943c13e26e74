"""The queue may do what it likes: sweeps go on by the worker's own clock, and rings are answered later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from pintuan.base.settings.settings import Settings
from pintuan.base.stores import doorbells
from pintuan.base.stores.doorbells import QUEUE_NAME, Doorbells, open_queue
from pintuan.base.stores.embedded import EmbeddedRedis
from tests.queue_troubles import TROUBLES, Trouble, answer_again, go_on, hang, refuse
from tests.rows import Rows
from tests.waiting import until
from workers import rings
from workers.process import run

pytestmark = pytest.mark.anyio

DOORBELLS = ["payments"]

AWAY, BACK = "queue away; the sweeps find the work", "queue answers again"
ATTEMPTS = 3


@pytest.fixture
def settings(
    database_url: str,
    redis_url: str,
    own_redis: EmbeddedRedis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """The queue has a server of its own, and is given up a little sooner than usual."""
    monkeypatch.setattr(doorbells, "SOCKET_TIMEOUT_S", 0.2)
    monkeypatch.setattr(rings, "STEADY_S", 0.2)
    return Settings(
        database_url=database_url, redis_url=redis_url, queue_redis_url=own_redis.url, data_dir=tmp_path
    )


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """A worker in this process, which must still be at work at the end."""
    begun = asyncio.Event()
    task = asyncio.create_task(run(settings, working=begun.set))
    try:
        await begun.wait()
        yield task
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def sample(name: str) -> float:
    return REGISTRY.get_sample_value(f"pintuan_queue_{name}") or 0.0


async def is_captured(rows: Rows, order: str) -> bool:
    return await rows.status(order) == "captured"


async def is_answered(settings: Settings) -> bool:
    """Rings, and says whether somebody has answered since the queue was made."""
    async with open_queue(settings) as queue:
        if not await Doorbells(queue, DOORBELLS).send("payments"):
            return False
    async with Redis.from_url(str(settings.queue_redis_url)) as client:
        try:
            return int(await client.get("pintuan:doorbell:payments") or 0) > 0
        except RedisError:
            return False


async def is_empty(settings: Settings) -> bool:
    async with open_queue(settings) as queue:
        return not await queue.zcard(QUEUE_NAME)


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
async def test_whatever_the_queue_does_a_worker_goes_on_and_listens_again(
    pool: asyncpg.Pool, settings: Settings, own_redis: EmbeddedRedis, trouble: Trouble
) -> None:
    rows = await Rows.open(pool)
    outages = sample("outages_total")

    with capture_logs() as logs:
        async with working(settings):
            await until(lambda: is_answered(settings))
            await until(lambda: is_empty(settings))
            await trouble.begin(own_redis)
            if not trouble.answers:
                await until(lambda: holds(sample("away") == 1))
            async with open_queue(settings) as queue:
                assert await Doorbells(queue, DOORBELLS).send("payments") == trouble.takes
            for _ in range(2):
                order = await rows.order()
                await until(lambda order=order: is_captured(rows, order))  # type: ignore[misc]
            await trouble.end(own_redis)
            await until(lambda: holds(sample("away") == 0))
            async with open_queue(settings) as queue:
                await queue.delete("pintuan:doorbell:payments")
            await until(lambda: is_answered(settings))

    assert sample("outages_total") - outages == (not trouble.answers)
    told = [entry["event"] for entry in logs if entry["event"] in (AWAY, BACK)]
    assert told == ([AWAY, BACK] if not trouble.answers else [])


async def test_a_worker_that_starts_without_a_queue_works(
    pool: asyncpg.Pool, settings: Settings, own_redis: EmbeddedRedis
) -> None:
    rows = await Rows.open(pool)
    await refuse(own_redis)

    async with working(settings):
        order = await rows.order()
        await until(lambda: is_captured(rows, order))
        await answer_again(own_redis)
        await until(lambda: is_answered(settings))


async def test_who_stops_listening_to_a_hung_queue_leaves_nothing_behind(
    settings: Settings, own_redis: EmbeddedRedis
) -> None:
    rung = asyncio.Event()

    async def hang_while_the_ring_is_being_ended() -> None:
        await hang(own_redis)
        rung.set()

    async with open_queue(settings) as queue:
        before = asyncio.all_tasks()
        listening = asyncio.create_task(
            rings.Rings(queue, {"payments": hang_while_the_ring_is_being_ended}).listen()
        )
        assert await Doorbells(queue, DOORBELLS).send("payments")
        await rung.wait()
        # The ending of the ring has been sent once the worker had its turn.
        await asyncio.sleep(0)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        left = asyncio.all_tasks() - before
        await go_on(own_redis)

    assert left == set()


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancellation_that_gets_lost_in_a_call_is_heeded_all_the_same(
    monkeypatch: pytest.MonkeyPatch, redis_url: str, fails: bool
) -> None:
    asked = asyncio.Event()

    async def lose_it(*_arguments: object, **_options: object) -> list[bytes]:
        asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        if fails:
            raise RedisError
        return []

    async with open_queue(Settings(redis_url=redis_url)) as queue:
        monkeypatch.setattr(queue, "zrangebyscore", lose_it)
        listening = asyncio.create_task(rings.Rings(queue, {"payments": nothing}).listen())
        await asked.wait()
        listening.cancel()
        await until(lambda: holds(listening.cancelled()))


async def test_an_outage_is_met_with_pauses_that_grow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rings, "DELAY_S_MIN", 0.001)
    monkeypatch.setattr(rings, "DELAY_S_MAX", 0.004)
    waited_s: list[float] = []

    def exactly(delay_s: float) -> float:
        waited_s.append(delay_s)
        return delay_s

    monkeypatch.setattr(rings, "jittered", exactly)
    async with open_queue(Settings(redis_url=f"unix://{tmp_path}/nobody")) as queue:
        listening = asyncio.create_task(rings.Rings(queue, {"payments": nothing}).listen())
        await until(lambda: holds(len(waited_s) > ATTEMPTS))
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    assert waited_s[:ATTEMPTS] == [0.001, 0.002, 0.004]
    assert max(waited_s) == 0.004


async def nothing() -> None:
    """Stands for work that no ring asks for here."""


async def holds(condition: bool) -> bool:
    return condition
