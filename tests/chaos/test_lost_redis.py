"""Redis forgets everything, or dies while groups close: Postgres has the last word."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from redis.asyncio import Redis

from tests.chaos.crowd import SETTLED_S_MAX, Crowd, open_crowd
from tests.marketplace import Site
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

REDIS_TIMEOUT_S = 5.0


async def test_a_redis_that_forgets_everything_under_load_sells_nothing_twice(site: Site) -> None:
    up = await site.up("--api-workers", "2")
    async with up.client() as client:
        crowd = await open_crowd(site, client, size=300)
        shopping = asyncio.create_task(crowd.shop(client))
        for count in (50, 100, 150):
            await crowd.reached(count)
            await flush(site)
        await shopping
        await crowd.assert_nothing_lost(client)
        await crowd.assert_all_settles(client)
    await site.assert_sound()
    assert await up.terminate() == 0


async def test_groups_that_close_while_redis_dies_settle_all_the_same(site: Site) -> None:
    up = await site.up("--workers", "2")
    async with up.client() as client:
        crowd = await open_crowd(site, client, size=200)
        shopping = asyncio.create_task(crowd.shop(client))
        await first_closed(crowd, client)
        await up.kill_one("redis")
        await shopping
        await crowd.assert_nothing_lost(client)
        await crowd.assert_all_settles(client)
    await site.assert_sound()
    assert await up.terminate() == 0


async def flush(site: Site) -> None:
    async with Redis.from_url(site.running()["redis_url"], socket_timeout=REDIS_TIMEOUT_S) as redis:
        await redis.flushall()


async def first_closed(crowd: Crowd, client: httpx.AsyncClient) -> None:
    """Waits until some group is no longer open, which others are then about to follow."""

    async def some_closed() -> bool:
        return any(group["status"] != "open" for group in await crowd.groups(client))

    await until(some_closed, within_s=SETTLED_S_MAX)
