"""One buyer who hammers is held back; the others are not."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest

from tests.chaos.crowd import DEAL
from tests.marketplace import Site, open_deal

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HAMMERED = 60
"""Thrice what a buyer may do in one go."""


@pytest.mark.parametrize("switch", ["on", "off"])
async def test_only_a_buyer_who_hammers_is_held_back_and_only_where_limits_are_on(
    site: Site, switch: str
) -> None:
    up = await site.up(PINTUAN_RATE_LIMITS=switch)
    async with up.client() as client:
        deal = await open_deal(client, (await site.tokens("merchant", "acme"))[0], **DEAL)
        hammering, *others = await site.tokens("buyer", "buyer", 11)
        hammered = [buy(client, deal, hammering, key) for key in range(HAMMERED)]
        bought = [buy(client, deal, other, 0) for other in others]
        answers = await asyncio.gather(*hammered, *bought)
    statuses = Counter(answer.status_code for answer in answers[:HAMMERED])
    limited = [answer for answer in answers if answer.status_code == httpx.codes.TOO_MANY_REQUESTS]

    assert statuses[httpx.codes.CREATED] == 2, "as many as the deal lets one buyer have"
    assert bool(limited) == (switch == "on")
    assert all(answer.json()["code"] == "rate_limited" for answer in limited)
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in limited)
    assert {answer.status_code for answer in answers[HAMMERED:]} == {httpx.codes.CREATED}
    assert await up.terminate() == 0


async def buy(client: httpx.AsyncClient, deal: str, token: str, key: int) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"key-{key}"}
    return await client.post(f"/v1/deals/{deal}/buy", json={"payment_method": "pm_ok"}, headers=headers)
