"""New processes take the old ones' place while shoppers keep coming, and nobody notices."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.crowd import open_crowd
from tests.marketplace import Site

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CHILDREN = ("api", "worker")
# Several times as many as come while all processes are replaced; the rest stay away afterwards.
SHOPPERS = 5_000
STOCK = 6_000


async def test_a_crowd_joins_while_every_process_is_replaced_and_no_request_fails(site: Site) -> None:
    up = await site.up("--api-workers", "2", "--workers", "2")
    before = {process.pid for name in CHILDREN for process in up.processes(name)}
    async with up.client() as client:
        crowd = await open_crowd(site, client, size=SHOPPERS, stock=STOCK)
        shopping = asyncio.create_task(crowd.shop(client))
        await crowd.reached(50)
        await up.roll()
        assert not shopping.done(), "the crowd was to last longer than the roll"
        placed_by_then = len(crowd.acknowledged)
        await crowd.reached(placed_by_then + 50)
        after = {process.pid for name in CHILDREN for process in up.processes(name)}
        assert (len(after), before & after) == (4, set())

        crowd.go_home()
        await shopping
        assert {answer.split()[0] for answer in crowd.answers} <= {"200", "201", "409"}, crowd.answers
        await crowd.assert_nothing_lost(client)
    await site.assert_sound()
    assert await up.terminate() == 0
