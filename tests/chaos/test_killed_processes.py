"""Any one process is killed while shoppers keep coming; nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import random

import psutil
import pytest

from tests.chaos.crowd import open_crowd
from tests.marketplace import COMMAND_LINES, Site

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.mark.parametrize("name", COMMAND_LINES)
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


async def test_processes_killed_again_before_they_have_recovered_lose_no_acknowledged_order(
    site: Site,
) -> None:
    up = await site.up("--api-workers", "2", "--workers", "2")
    chance = random.Random(7)  # noqa: S311  # the choice of victims needs no secrecy
    async with up.client() as client:
        crowd = await open_crowd(site, client, size=300, connections_may_break=True)
        shopping = asyncio.create_task(crowd.shop(client))
        for count in range(20, 220, 20):
            await crowd.reached(count)
            for name in chance.sample(list(COMMAND_LINES), 2):
                # One that is being replaced is not there to be killed.
                for victim in up.processes(name)[:1]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        victim.kill()
        await shopping
        await up.until_ready()
        await crowd.assert_nothing_lost(client)
        await crowd.assert_all_settles(client)
    await site.assert_sound()
    assert await up.terminate() == 0
    assert site.leftovers() == []
