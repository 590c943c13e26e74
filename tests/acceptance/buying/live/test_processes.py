"""Streams across the processes of a marketplace as an operator runs it."""

from __future__ import annotations

import asyncio

import pytest

from tests.acceptance.buying.live.watching import watching
from tests.marketplace import Site, open_deal

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WATCHERS = 8


async def test_watchers_of_all_processes_see_a_group_fill_and_end_with_their_process(site: Site) -> None:
    running = await site.up("--api-workers", "2", "--workers", "2")
    (merchant,) = await site.tokens("merchant", "acme")
    buyers = await site.tokens("buyer", "shopper", 2)
    async with running.client() as api:
        deal = await open_deal(
            api,
            merchant,
            ladder=[{"headcount": 1, "unit_price": 950}, {"headcount": 2, "unit_price": 900}],
            min_headcount=1,
            max_headcount=5,
            group_ttl_seconds=600,
            stock=10,
            per_buyer_units=1,
        )

        async def order(path: str, number: int) -> str:
            headers = {"Authorization": f"Bearer {buyers[number]}", "Idempotency-Key": f"key-{number}"}
            response = await api.post(path, json={"payment_method": "pm_ok"}, headers=headers)
            assert response.status_code == 201, response.text
            group_id: str = response.json()["group_id"]
            return group_id

        group = await order(f"/v1/deals/{deal}/groups", 0)
        filled = asyncio.Barrier(WATCHERS + 1)

        async def watch() -> list[int]:
            async with watching(api, group) as stream:
                await stream.group(lambda seen: seen["headcount"] == 1)
                await filled.wait()
                cheaper = await stream.group(lambda seen: seen["headcount"] == 2)
                assert cheaper["unit_price"]["amount"] == 900
                await filled.wait()
                assert await stream.ended() == []
                return stream.retries_ms

        watchers = [asyncio.create_task(watch()) for _ in range(WATCHERS)]
        await filled.wait()
        await order(f"/v1/groups/{group}/join", 1)
        await filled.wait()
        stopping = asyncio.create_task(running.terminate())
        for retries_ms in await asyncio.gather(*watchers):
            assert len(retries_ms) == 2
        assert await stopping == 0
