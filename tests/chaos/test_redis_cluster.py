"""A whole marketplace on a Redis Cluster that is reshaped and broken while it sells."""

from __future__ import annotations

import asyncio

import pytest
from redis.crc import key_slot

from groups.keys import Lane, LaneKeys
from pintuan.base.stores.embedded import EmbeddedRedis
from tests.chaos.crowd import open_crowd
from tests.marketplace import Site
from tests.redis_cluster import Cluster

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LANES = 6


async def test_a_cluster_that_is_reshaped_and_broken_under_load_sells_nothing_twice(
    site: Site, own_cluster: Cluster, own_redis: EmbeddedRedis
) -> None:
    stores = {"PINTUAN_REDIS_URL": own_cluster.url, "PINTUAN_QUEUE_REDIS_URL": own_redis.url}
    up = await site.up("--api-workers", "2", **stores)
    async with up.client() as client:
        crowd = await open_crowd(site, client, size=300, lanes=LANES)
        shopping = asyncio.create_task(crowd.shop(client))
        await crowd.reached(50)
        for lane_no in range(LANES):
            await move(own_cluster, Lane(crowd.deals[0], lane_no))
        await crowd.reached(100)
        # It has a replica, which takes its place.
        await own_cluster.primaries[0].kill()
        await crowd.reached(130)
        await own_cluster.primaries[1].kill()
        await up.until_ready()
        await own_cluster.primaries[1].start()
        await own_cluster.primaries[1].wait_ready()
        await shopping
        await crowd.assert_nothing_lost(client)
        await crowd.assert_all_settles(client)
    await site.assert_sound(**stores)
    assert await up.terminate() == 0


async def move(cluster: Cluster, lane: Lane) -> None:
    """Moves a lane's slot to the next server."""
    slot = key_slot(LaneKeys.of(lane).meta.encode())
    holder = await cluster.holder_of(slot)
    await cluster.move_slot(slot, cluster.primaries[(cluster.primaries.index(holder) + 1) % 3])
