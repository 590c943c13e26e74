"""Any one process is killed while shoppers keep coming; nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.crowd import open_crowd
from tests.marketplace import Site

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.mark.parametrize("name", ["api", "worker", "redis", "postgres", "postgres backend"])
async def test_a_killed_process_loses_no_acknowledged_order(site: Site, name: str) -> None:
    up = await site.up("--api-workers", "2")
    async with up.client() as client:
        crowd = await open_crowd(site, client, size=300, connections_may_break=name == "api")
        shopping = asyncio.create_task(crowd.shop(client))
        await crowd.reached(50)
        await up.kill_one(name)
        await shopping
        await crowd.assert_nothing_lost(client)
        await crowd.assert_all_settles(client)
    await site.assert_sound()
    assert await up.terminate() == 0
    assert site.leftovers() == []
