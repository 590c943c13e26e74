"""Bodies that place nothing: each is answered with a problem that names the field."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx
import pytest

from pintuan.buying.orders.ship_to import BYTES_MAX, NUMBER_MAX, NUMBER_MIN
from pintuan.http.bodies import BODY_SIZE_MAX
from tests.acceptance.buying.orders.bodies import MISFITS, NO_JSON_OBJECTS, address_of_bytes
from tests.acceptance.shoppers import ORDER, Shoppers, placed, refused
from tests.market import Market

pytestmark = pytest.mark.anyio


@pytest.fixture
async def paths(market: Market, shoppers: Shoppers) -> list[str]:
    """Every call that places an order."""
    deal = await market.deal()
    group = placed(await shoppers.open(deal, "host"))["group_id"]
    return [f"/v1/deals/{deal}/{call}" for call in ("join", "groups", "buy")] + [f"/v1/groups/{group}/join"]


async def send(
    shoppers: Shoppers, path: str, content: str | bytes, content_type: str | None = "application/json"
) -> httpx.Response:
    headers = shoppers.headers("ann") | ({"Content-Type": content_type} if content_type else {})
    return await shoppers.api.post(path, content=content, headers=headers)


async def nothing_was_placed(market: Market) -> None:
    assert [order["buyer_id"] for order in await market.orders()] == ["host"]


async def test_a_field_that_does_not_fit_is_named(
    shoppers: Shoppers, paths: list[str], market: Market
) -> None:
    for path, (changes, field) in itertools.product(paths, MISFITS):
        body = {name: value for name, value in (ORDER | changes).items() if value is not ...}
        problem = refused(await send(shoppers, path, json.dumps(body)), 400, "invalid")
        assert [error["field"] for error in problem["errors"]] == [field], changes
    await nothing_was_placed(market)


async def test_what_is_no_json_object_is_refused_as_a_whole(
    shoppers: Shoppers, paths: list[str], market: Market
) -> None:
    for path, content in itertools.product(paths, NO_JSON_OBJECTS):
        problem = refused(await send(shoppers, path, content), 400, "invalid")
        assert [error["field"] for error in problem["errors"]] == ["body"], content[:60]
    await nothing_was_placed(market)


async def test_numbers_no_store_could_hold_are_refused(shoppers: Shoppers, paths: list[str]) -> None:
    for number in ("1e400", "9" * 5_000):
        content = f'{{"payment_method": "pm_ok", "ship_to": {{"a": {number}}}}}'
        refused(await send(shoppers, paths[0], content), 400, "invalid")


async def test_a_body_above_the_limit_is_too_large(shoppers: Shoppers, paths: list[str]) -> None:
    for path in paths:
        large = json.dumps(ORDER | {"ship_to": {"name": "x" * BODY_SIZE_MAX}})
        refused(await send(shoppers, path, large), 413, "too_large")


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_of_another_media_type_is_refused(
    shoppers: Shoppers, paths: list[str], content_type: str | None
) -> None:
    for path in paths:
        refused(await send(shoppers, path, json.dumps(ORDER), content_type), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"quantity": ...},
        {"payment_method": "pm_ok:card-7"},
        {"invite_code": None, "ship_to": None},
        {"ship_to": {}},
        {"ship_to": {"name": "Zoë 😀", "lines": ["1 Rue", "Lyon"], "at": {"lat": 45.7, "lon": 4.8}}},
        {"ship_to": {"note": "a backslash and u0000: \\u0000"}},
        {"ship_to": {"a": [[[[1]]]], "huge": NUMBER_MAX, "small": -NUMBER_MAX, "far": 1e15}},
        {"ship_to": {"near": NUMBER_MIN, "nearer": [0, 0.0, -0.0], "exact": 0.1 + 0.2, "flag": True}},
        {"ship_to": address_of_bytes(BYTES_MAX)},
    ],
    ids=lambda changes: repr(changes)[:60],
)
async def test_a_body_that_fits_places_an_order(
    shoppers: Shoppers, paths: list[str], market: Market, changes: dict[str, Any]
) -> None:
    body = {name: value for name, value in (ORDER | changes).items() if value is not ...}
    order = placed(await send(shoppers, paths[0], json.dumps(body)))
    row = await market.order(order["id"])
    assert row["quantity"] == 1
    assert (None if row["ship_to"] is None else json.loads(row["ship_to"])) == body.get("ship_to")
