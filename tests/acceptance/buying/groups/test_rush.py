"""Hundreds of shoppers at once get what there is, and not one unit or seat more."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

import httpx
import pytest

from tests.acceptance.shoppers import Bearer, Shoppers, placed
from tests.market import Market

pytestmark = pytest.mark.anyio

SHOPPERS = 300


def outcomes(responses: list[httpx.Response]) -> Counter[str]:
    return Counter(
        "placed" if response.status_code == 201 else response.json()["code"] for response in responses
    )


async def test_the_last_of_the_stock_is_sold_exactly_once(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal(stock=100, max_headcount=10)
    responses = await asyncio.gather(*(shoppers.join(deal, f"buyer-{n}") for n in range(SHOPPERS)))
    assert outcomes(responses) == {"placed": 100, "sold_out": 200}
    seats: dict[str, list[int]] = defaultdict(list)
    for order in (placed(response) for response in responses if response.status_code == 201):
        seats[order["group_id"]].append(order["seat"])
    assert len(seats) == 10
    assert all(sorted(numbers) == list(range(1, 11)) for numbers in seats.values())
    deal_shown = (await shoppers.api.get(f"/v1/deals/{deal}")).json()
    assert (deal_shown["stock"], deal_shown["sold"]) == (100, 100)


async def test_a_shared_link_takes_exactly_its_capacity(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal(stock=1000, max_headcount=50)
    group = placed(await shoppers.open(deal, "buyer-0"))["group_id"]
    responses = await asyncio.gather(
        *(shoppers.join_group(group, f"buyer-{n}") for n in range(1, SHOPPERS + 1))
    )
    assert outcomes(responses) == {"placed": 49, "group_full": 251}
    orders = await market.orders(group_id=group)
    assert [order["seat"] for order in orders] == list(range(1, 51))
    shown = (await shoppers.api.get(f"/v1/groups/{group}")).json()
    assert (shown["status"], shown["headcount"], shown["held"]) == ("open", 0, 50)


async def test_two_instances_sell_one_stock(
    shoppers: Shoppers, another_api: httpx.AsyncClient, bearer: Bearer, market: Market
) -> None:
    others = Shoppers(another_api, bearer)
    deal = await market.deal(stock=60, max_headcount=7, lanes=2)
    responses = await asyncio.gather(
        *((shoppers, others)[n % 2].join(deal, f"buyer-{n}") for n in range(SHOPPERS // 2))
    )
    assert outcomes(responses) == {"placed": 60, "sold_out": 90}
    seats = Counter((order["group_id"], order["seat"]) for order in await market.orders())
    assert set(seats.values()) == {1}


async def test_a_buyers_limit_holds_when_they_try_everything_at_once(
    shoppers: Shoppers, market: Market
) -> None:
    deal = await market.deal(per_buyer=4, lanes=3, stock=300)
    calls = [shoppers.open, shoppers.buy] * 6
    responses = await asyncio.gather(*(call(deal, "ann") for call in calls))
    assert outcomes(responses) == {"placed": 4, "limit_reached": 8}
