"""Numbers of a marketplace with several API processes."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.crowd import open_crowd
from tests.marketplace import Running, Site

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OUTCOMES = ("succeeded", "failed")
READINGS = 12
"""Each over a connection of its own, so that both processes answer some."""


async def test_whichever_process_answers_the_numbers_of_all_add_up(site: Site) -> None:
    up = await site.up("--api-workers", "2", "--workers", "2")
    async with up.client() as client:
        crowd = await open_crowd(site, client, size=100)
        await crowd.shop(client)
        await crowd.assert_nothing_lost(client)
        placed = len({order["id"] for order in crowd.acknowledged.values()})
        assert {await placements(up) for _ in range(READINGS)} == {placed}

        await up.kill_one("api")
        assert await placements(up) == placed, "what a dead process counted stays counted"
    assert await up.terminate() == 0


async def test_what_a_crowd_went_through_is_in_the_numbers(site: Site) -> None:
    up = await site.up("--api-workers", "2", "--workers", "2")
    async with up.client() as client:
        crowd = await open_crowd(site, client, size=100)
        await crowd.shop(client)
        await crowd.assert_all_settles(client)
        groups = await crowd.groups(client)
    found = await samples(up)

    batches = found["pintuan_placement_batch_size_count"]
    assert found['pintuan_placement_stage_seconds_count{"stage": "queue"}'] == batches
    assert found['pintuan_placement_stage_seconds_count{"stage": "script"}'] >= batches
    assert found['pintuan_placement_stage_seconds_count{"stage": "record"}'] > 0
    assert found["pintuan_queue_lag_seconds_count"] > 0
    ended = [found[f'pintuan_groups_ended_total{{"outcome": "{outcome}"}}'] for outcome in OUTCOMES]
    assert sum(ended) >= len(groups)
    assert sum(ended) == found["pintuan_settlement_lag_seconds_count"]
    assert await up.terminate() == 0


async def samples(up: Running) -> dict[str, float]:
    """Every sample by its name and, where it has some, its labels as JSON."""
    async with httpx.AsyncClient(base_url=up.url, trust_env=False) as client:
        text = (await client.get("/metrics")).text
    return {
        sample.name + (json.dumps(sample.labels) if sample.labels else ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def placements(up: Running) -> int:
    async with httpx.AsyncClient(base_url=up.url, trust_env=False) as client:
        text, _ = await asyncio.gather(client.get("/metrics"), client.get("/health/live"))
    for family in text_string_to_metric_families(text.text):
        for sample in family.samples:
            if sample.name == "pintuan_placements_total":
                return int(sample.value)
    raise AssertionError(text.text)
