"""What waits longest is found in Postgres by whoever answers a scrape, whatever workers say of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import REGISTRY

from groups.connections import Connections
from groups.engine import GroupEngine
from pintuan.base.process import Resources
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from pintuan.bootstrap import open_resources
from pintuan.http.health import service, waits
from sql import migrate
from tests.market import Market
from tests.waiting import until

pytestmark = pytest.mark.anyio

MINUTE_S = 60


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, data_dir=tmp_path)


@pytest.fixture
async def resources(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings) as resources:
        yield resources


def waiting() -> dict[str, int]:
    """For how many minutes what waits longest has waited."""
    found = {
        what: REGISTRY.get_sample_value("pintuan_waiting_seconds", {"what": what}) or 0.0
        for what in ("untried", "held", "group")
    } | {"payment": REGISTRY.get_sample_value("pintuan_payment_overdue_seconds") or 0.0}
    return {what: round(seconds / MINUTE_S) for what, seconds in found.items()}


def answers(store: str) -> float | None:
    return REGISTRY.get_sample_value("pintuan_store_answers", {"store": store})


async def test_where_nothing_waits_every_age_is_zero(resources: Resources) -> None:
    await waits.look(resources.pool, resources.redis)
    assert waiting() == {"untried": 0, "held": 0, "group": 0, "payment": 0}
    assert (answers("postgres"), answers("redis")) == (1, 1)


async def test_the_age_of_what_waits_longest_is_shown(
    resources: Resources, engine: GroupEngine, market: Market
) -> None:
    deal = await market.deal()
    untried, tried = [(await engine.place(market.wish(name, deal=deal))).order_id for name in ("ann", "bob")]
    moved = "created_at = created_at - interval '{0} minutes', due_at = due_at - interval '{0} minutes'"
    await market.pool.execute(
        f"UPDATE payment_operations SET {moved.format(5)} WHERE order_id = $1",  # noqa: S608 - ours.
        untried,
    )
    await market.pool.execute(
        "UPDATE payment_operations SET attempts = 2, state = 'unknown',"
        " first_tried_at = app_now() - interval '3 minutes', due_at = app_now() + interval '1 minute'"
        " WHERE order_id = $1",
        tried,
    )
    await market.pool.execute("UPDATE group_progress SET check_at = app_now() - interval '7 minutes'")

    await waits.look(resources.pool, resources.redis)
    assert waiting() == {"untried": 5, "held": 3, "group": 7, "payment": 5}

    # A group whose advance fails by itself is told of elsewhere.
    await market.pool.execute(
        "INSERT INTO setbacks (sweep, row_id, attempts, failure, look_at)"
        " SELECT 'lifecycle', group_id, 1, 'broken', app_now() FROM group_progress"
    )
    await market.authorise(untried, tried)
    await waits.look(resources.pool, resources.redis)
    assert waiting() == {"untried": 0, "held": 0, "group": 0, "payment": 0}


async def test_a_store_that_does_not_answer_is_shown_as_away_and_the_other_one_is_not(
    own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis, tmp_path: Path
) -> None:
    await migrate(own_postgres.url)
    settings = Settings(database_url=own_postgres.url, redis_url=own_redis.url, data_dir=tmp_path)
    async with open_resources(settings) as resources:
        await own_redis.kill()
        await waits.look(resources.pool, resources.redis)
        assert (answers("postgres"), answers("redis")) == (1, 0)
        await own_redis.start()
        await own_redis.wait_ready()
        await own_postgres.kill()
        await waits.look(resources.pool, resources.redis)
        assert (answers("postgres"), answers("redis")) == (0, 1)
        await own_postgres.start()
        await own_postgres.wait_ready()

        async def both_answer() -> bool:
            await waits.look(resources.pool, resources.redis)
            return answers("postgres") == answers("redis") == 1

        await until(both_answer)


async def test_scrapes_share_one_look(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    async def counted(_pool: asyncpg.Pool, _redis: Connections) -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr(waits, "look", counted)
    # It keeps what it found for longer than the test takes, and the text for no time.
    monkeypatch.setattr(waits, "WAITS_KEPT_S", 60.0)
    monkeypatch.setattr(service, "METRICS_KEPT_S", 0.0)
    text = service.shared_metrics(resources.pool, resources.redis)

    await asyncio.gather(*(text.get() for _ in range(64)))
    await text.get()

    assert looks == 1


@pytest.mark.parametrize(
    ("age_s", "trouble"),
    [
        (None, "no sweep has ended yet"),
        (1.0, None),
        (service.SWEEP_AGE_S_MAX + 61, "no sweep has ended for 81 s"),
    ],
)
async def test_a_node_of_workers_is_ready_only_while_one_comes_to_the_end_of_sweeps(
    resources: Resources, monkeypatch: pytest.MonkeyPatch, age_s: float | None, trouble: str | None
) -> None:
    now_s = 1_700_000_000.0
    monkeypatch.setattr("pintuan.http.health.service.time.time", lambda: now_s)
    monkeypatch.setattr(
        "pintuan.base.telemetry.metrics.last_sweep_s", lambda: None if age_s is None else now_s - age_s
    )

    failing = await service.failing_parts(resources.pool, resources.redis, watches_workers=True)

    assert [(part.field, part.message) for part in failing] == ([("workers", trouble)] if trouble else [])
    assert await service.failing_parts(resources.pool, resources.redis) == []
