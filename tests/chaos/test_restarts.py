"""A marketplace that is stopped, by force or in order, and started again on its data."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest

from tests.chaos.crowd import open_crowd
from tests.marketplace import Site, living

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SIZE = 200
AN_HOUR_S = 3_600
THREE_DAYS_MS = str(timedelta(days=3) // timedelta(milliseconds=1))


async def test_a_killed_supervisor_takes_its_children_along_and_its_successor_has_the_data(
    site: Site,
) -> None:
    up = await site.up("--api-workers", "2")
    first_family = up.family()
    async with up.client() as client:
        crowd = await open_crowd(site, client, size=SIZE, connections_may_break=True)
        shopping = asyncio.create_task(crowd.shop(client))
        await crowd.reached(50)
        await up.kill()

        up = await site.up("--api-workers", "2")
        assert living(first_family) == []
        await shopping
        await crowd.assert_nothing_lost(client)
        await crowd.assert_all_settles(client)
    await site.assert_sound()
    assert await up.terminate() == 0
    assert site.leftovers() == []


async def test_a_stop_in_order_under_load_keeps_every_acknowledged_order(site: Site) -> None:
    up = await site.up("--api-workers", "2")
    async with up.client() as client:
        crowd = await open_crowd(site, client, size=SIZE, connections_may_break=True)
        shopping = asyncio.create_task(crowd.shop(client))
        await crowd.reached(50)
        assert await up.terminate() == 0
        crowd.go_home()
        await shopping
    assert site.leftovers() == []

    up = await site.up()
    async with up.client() as client:
        await crowd.assert_nothing_lost(client)
        await crowd.assert_all_settles(client)
    await site.assert_sound()
    assert await up.terminate() == 0


async def test_groups_that_fell_due_while_nothing_ran_for_days_settle_at_the_next_start(site: Site) -> None:
    up = await site.up()
    async with up.client() as client:
        crowd = await open_crowd(site, client, size=60, group_ttl_seconds=AN_HOUR_S)
        await crowd.shop(client)
        await crowd.assert_nothing_lost(client)
        assert "open" in {group["status"] for group in await crowd.groups(client)}
    assert await up.terminate() == 0

    up = await site.up(PINTUAN_SIM_OFFSET_MS=THREE_DAYS_MS)
    async with up.client() as client:
        await crowd.assert_all_settles(client)
        assert {group["status"] for group in await crowd.groups(client)} <= {"succeeded", "failed"}
        latecomers = await open_crowd(site, client, size=20)
        await latecomers.shop(client)
        await latecomers.assert_nothing_lost(client)
        await latecomers.assert_all_settles(client)
        stranger = await client.get("/v1/orders", headers={"Authorization": "Bearer nobody"})
        assert stranger.status_code == httpx.codes.UNAUTHORIZED
    await site.assert_sound(PINTUAN_SIM_OFFSET_MS=THREE_DAYS_MS)
    assert await up.terminate() == 0
