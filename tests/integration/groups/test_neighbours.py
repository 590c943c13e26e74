"""Two marketplaces that were given one Redis: each is told of the other, and both go on selling."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest
from redis.asyncio import Redis

from groups import neighbours, tellers
from groups.engine import GroupEngine, open_engine
from groups.history import follow_history
from groups.keys import Lane, LaneKeys, history_key
from groups.listeners import Listeners
from groups.neighbours import find_neighbours
from tests.auditing import audited
from tests.interleaving import lane_store
from tests.market import Market

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.databases import Databases

pytestmark = pytest.mark.anyio

LOOKS = 4


@pytest.fixture
async def other_pool(databases: Databases) -> AsyncIterator[asyncpg.Pool]:
    """A pool on the database of another marketplace."""
    async with databases.lent() as url, asyncpg.create_pool(url, min_size=1, max_size=5) as pool:
        yield pool


@asynccontextmanager
async def worker(pool: asyncpg.Pool, redis_url: str) -> AsyncIterator[tuple[GroupEngine, list[int]]]:
    """One process of a marketplace, and how many neighbours it counted at each look."""
    counts: list[int] = []
    listeners = Listeners(on_neighbours=counts.append)
    async with open_engine(pool, redis_url, rates=None, listeners=listeners) as engine:
        yield engine, counts


async def tells_until(done: asyncio.Task[object], pool: asyncpg.Pool, redis_url: str) -> None:
    """Looks, as workers do every few seconds, until somebody has heard it."""
    async with lane_store(redis_url) as store:
        while not done.done():
            await follow_history(pool, store)


async def epochs(pool: asyncpg.Pool) -> list[int]:
    return [row["epoch"] for row in await pool.fetch("SELECT epoch FROM lanes")]


async def test_they_make_their_lanes_anew_once_and_not_at_every_look(
    pool: asyncpg.Pool, other_pool: asyncpg.Pool, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(pool, redis_url) as (ours, met), worker(other_pool, redis_url) as (theirs, met_there):
        market, other_market = Market(pool), Market(other_pool)
        deal, other_deal = await market.deal(), await other_market.deal()
        await ours.reconcile_orphans()
        await theirs.reconcile_orphans()
        await ours.reconcile_orphans()
        await theirs.reconcile_orphans()
        ann = market.wish("ann", deal=deal)
        placed = await ours.place(ann)
        await theirs.place(other_market.wish("ben", deal=other_deal))
        before = [await epochs(pool), await epochs(other_pool)]
        caplog.clear()
        for _ in range(LOOKS):
            await ours.reconcile_orphans()
            await theirs.reconcile_orphans()
        assert [await epochs(pool), await epochs(other_pool)] == before
        assert not caplog.records
        async with Redis.from_url(redis_url) as client:
            assert await client.exists(LaneKeys.of(Lane(deal, 0)).meta)
        assert (await ours.place(ann)).order_id == placed.order_id
    assert (met[0], met[-1], met_there[-1]) == (0, 1, 1)
    assert (await audited(pool, redis_url)).ok
    assert (await audited(other_pool, redis_url)).ok


async def test_each_says_once_whom_it_met(
    pool: asyncpg.Pool, other_pool: asyncpg.Pool, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(pool, redis_url) as (ours, _), worker(other_pool, redis_url) as (theirs, _):
        for _ in range(LOOKS):
            await ours.reconcile_orphans()
            await theirs.reconcile_orphans()
    said = [record.getMessage() for record in caplog.records if record.name == "groups.neighbours"]
    names = [await each.fetchval("SELECT current_database()") for each in (pool, other_pool)]
    assert [sum(name in line for line in said) for name in names] == [1, 1]
    assert all("another database number" in line for line in said)


async def test_a_start_beside_a_living_marketplace_finds_it(
    pool: asyncpg.Pool, other_pool: asyncpg.Pool, redis_url: str
) -> None:
    async with lane_store(redis_url) as store:
        await follow_history(pool, store)
        finding = asyncio.create_task(find_neighbours(other_pool, store.connections))
        await tells_until(finding, pool, redis_url)
        [(teller, came_after_us)] = finding.result()
        assert teller.database == await pool.fetchval("SELECT current_database()")
        assert not came_after_us

        await follow_history(other_pool, store)
        finding = asyncio.create_task(find_neighbours(pool, store.connections))
        await tells_until(finding, other_pool, redis_url)
        assert [came_after_us for _, came_after_us in finding.result()] == [True], "the first of two goes on"


async def test_a_restored_database_waits_for_its_own_past_to_be_silent_and_is_no_neighbour(
    pool: asyncpg.Pool, other_pool: asyncpg.Pool, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tellers, "LIVING_MS", 300)
    monkeypatch.setattr(neighbours, "LOOK_EVERY_S", 0.01)
    async with lane_store(redis_url) as store:
        await follow_history(pool, store)
        assert await find_neighbours(other_pool, store.connections) == []
        assert await follow_history(other_pool, store), "Redis forgets the past"
        assert await find_neighbours(other_pool, store.connections) == []
        assert not await follow_history(other_pool, store)


async def test_a_start_waits_for_nobody_where_its_own_workers_tell(
    pool: asyncpg.Pool, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody_waits(_: float) -> None:
        raise AssertionError("a start waits")

    async with lane_store(redis_url) as store:
        await follow_history(pool, store)
        # In another run of the server it was another teller, whose beacons are known.
        async with Redis.from_url(redis_url) as client:
            for field, value in (await client.hgetall(history_key(""))).items():
                if field.startswith(b"teller "):
                    await client.hset(history_key(""), field + b"0", value)
        monkeypatch.setattr(asyncio, "sleep", nobody_waits)
        assert await find_neighbours(pool, store.connections) == []


async def test_a_state_that_was_left_for_another_and_is_returned_to_is_a_restore(
    pool: asyncpg.Pool, other_pool: asyncpg.Pool, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lane_store(redis_url) as store:
        await follow_history(pool, store)
        await follow_history(other_pool, store)
        assert not await follow_history(pool, store), "as long as the other one is heard, it is a neighbour"
        await follow_history(other_pool, store)
        monkeypatch.setattr(tellers, "LIVING_MS", 0)
        assert await follow_history(pool, store)


async def test_a_redis_remembers_no_more_tellers_than_it_needs(
    pool: asyncpg.Pool, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tellers, "TELLERS_MAX", 2)
    async with lane_store(redis_url) as store, Redis.from_url(redis_url) as client:
        for number in range(LOOKS):
            beacon = f"{number:032x}"
            await client.hset(history_key(""), f"teller old{number}", f"{beacon} 1 {number} shop of old")
        await follow_history(pool, store)
        fields = {field.decode() for field in await client.hkeys(history_key(""))}
    kept = {field for field in fields if field.startswith("teller ")}
    assert len(kept) == 2
    assert f"teller old{LOOKS - 1}" in kept
