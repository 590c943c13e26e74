"""Addresses of before they were bounded: they are read as ever, in pages that are bounded instead."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import asyncpg
import httpx
import pytest

from pintuan.buying.orders.ship_to import (
    ADDRESS_BYTES_PER_PAGE,
    BYTES_MAX,
    NUMBER_MAX,
    NUMBER_MIN,
    refusal_of,
)
from tests.acceptance.shoppers import Bearer, Shoppers, placed
from tests.market import Market

pytestmark = pytest.mark.anyio

ORDERS = "/v1/merchant/orders"
ORDER_COUNT = 7
# Two of them are as much as a page may have; the numbers are a hundredth of what they are as text.
LONG = {"x": [1e308] * (ADDRESS_BYTES_PER_PAGE // 2 // 16)}


@pytest.fixture
async def orders(shoppers: Shoppers, market: Market, pool: asyncpg.Pool) -> list[str]:
    """Orders that are paid for and have long addresses, the newest first."""
    deal = await market.deal()
    placings = [placed(await shoppers.buy(deal, "ann", quantity=1)) for _ in range(ORDER_COUNT)]
    await pool.execute("UPDATE orders SET ship_to = $1::text::jsonb", json.dumps(LONG))
    return [order["id"] for order in reversed(placings)]


async def test_a_page_of_orders_ends_before_its_addresses_are_too_long(
    api: httpx.AsyncClient, bearer: Bearer, orders: list[str]
) -> None:
    seen: list[str] = []
    page: dict[str, Any] = {"next_cursor": None}
    while not seen or page["next_cursor"]:
        params = {"limit": 100} | ({"cursor": page["next_cursor"]} if seen else {})
        page = (await api.get(ORDERS, params=params, headers=bearer("merchant", "acme"))).json()
        assert 1 <= len(page["items"]) <= 3
        seen += [sale["id"] for sale in page["items"]]
    assert seen == orders


async def test_a_part_of_a_spreadsheet_does_and_names_the_next(
    api: httpx.AsyncClient, bearer: Bearer, orders: list[str]
) -> None:
    seen: list[str] = []
    url = f"{ORDERS}.csv"
    while url:
        part = await api.get(url, headers=bearer("merchant", "acme"))
        rows = list(csv.DictReader(io.StringIO(part.content.decode("utf-8-sig"))))
        assert 1 <= len(rows) <= 3
        seen += [row["order_id"] for row in rows]
        url = part.links.get("next", {}).get("url", "")
    assert seen == orders


async def test_one_order_and_an_export_have_them_whole(
    api: httpx.AsyncClient,
    bearer: Bearer,
    shoppers: Shoppers,
    orders: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages: list[int] = []
    fetch = asyncpg.Pool.fetch

    async def counted(pool: asyncpg.Pool, query: str, *arguments: Any, **options: Any) -> Any:
        rows = await fetch(pool, query, *arguments, **options)
        if "newer_bytes" in query:
            pages.append(len(rows))
        return rows

    monkeypatch.setattr(asyncpg.Pool, "fetch", counted)
    exported = (await api.get("/v1/me/export", headers=shoppers.headers("ann"))).json()["orders"]
    assert [order["id"] for order in exported] == orders
    # Postgres gives the digits of a number, which a reader may take for an integer.
    assert all([float(number) for number in order["ship_to"]["x"]] == LONG["x"] for order in exported)
    assert max(pages) <= 3

    one = await api.get(f"{ORDERS}/{orders[0]}", headers=bearer("merchant", "acme"))
    assert one.json()["id"] == orders[0]


@pytest.mark.parametrize(
    "worst",
    [
        {"x": [0] * 2_040},
        {"x": [1e15] * 210},
        {"x": [NUMBER_MIN] * 800},
        {"x": [-NUMBER_MAX] * 220},
        {"x": ["é" * 1_000, "\x01" * 340]},
        {"x": [[]] * 1_300},
    ],
    ids=lambda address: repr(address)[:30],
)
async def test_an_address_that_is_taken_comes_back_not_much_longer(
    pool: asyncpg.Pool, worst: dict[str, Any]
) -> None:
    assert refusal_of(worst) is None
    assert refusal_of({"x": worst["x"] * 2}) is not None
    text = await pool.fetchval("SELECT $1::text::jsonb::text", json.dumps(worst))
    assert len(text.encode()) < 4 * BYTES_MAX
