"""The same key means the same order, whatever happened to it meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from groups.desk import home_lane
from tests.acceptance.shoppers import ORDER, Bearer, Shoppers, placed, refused
from tests.market import Market

pytestmark = pytest.mark.anyio

CALLS = ("join", "groups", "buy")


@pytest.mark.parametrize("call", CALLS)
async def test_a_repeated_key_answers_with_the_order_as_it_is_now(
    shoppers: Shoppers, market: Market, call: str
) -> None:
    path = f"/v1/deals/{await market.deal()}/{call}"
    first = placed(await shoppers.post(path, "ann", key="k"))
    again = await shoppers.post(path, "ann", key="k")
    assert (again.status_code, again.json()["id"]) == (200, first["id"])

    await market.authorise(first["id"])
    later = await shoppers.post(path, "ann", key="k")
    assert (later.status_code, later.json()["status"]) == (200, "authorised")
    assert later.json()["payment"] == {"status": "authorised"}
    assert len(await market.orders()) == 1


async def test_a_repeated_key_answers_with_an_order_that_was_cancelled(
    shoppers: Shoppers, market: Market
) -> None:
    deal = await market.deal()
    order = placed(await shoppers.join(deal, "ann", key="k"))
    await shoppers.cancel(order["id"], "ann")
    again = await shoppers.join(deal, "ann", key="k")
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (200, order["id"], "cancelled")


async def test_a_body_that_means_the_same_is_the_same_body(shoppers: Shoppers, market: Market) -> None:
    path = f"/v1/deals/{await market.deal()}/join"
    ship_to = {"name": "Ann", "city": "Lyon"}
    order = placed(await shoppers.post(path, "ann", key="k", ship_to=ship_to))
    written = (
        '{"ship_to":{"city":"Lyon","name":"Ann"},"payment_method":"pm_ok","quantity":1}',
        '{ "payment_method" : "pm_\\u006fk",\n "ship_to": {"name": "Ann", "city": "\\u004cyon"} }',
        '{"payment_method": "pm_ok", "quantity": 1, "invite_code": null, "ship_to": '
        + json.dumps(ship_to)
        + "}",
    )
    for content in written:
        headers = shoppers.headers("ann", "k") | {"Content-Type": "application/json; charset=utf-8"}
        again = await shoppers.api.post(path, content=content, headers=headers)
        assert (again.status_code, again.json()["id"]) == (200, order["id"])


@pytest.mark.parametrize(
    "changes", [{"quantity": 2}, {"payment_method": "pm_slow"}, {"invite_code": "abc"}, {"ship_to": {}}]
)
async def test_a_key_with_another_body_is_refused(
    shoppers: Shoppers, market: Market, changes: dict[str, Any]
) -> None:
    for call in CALLS:
        path = f"/v1/deals/{await market.deal()}/{call}"
        order = placed(await shoppers.post(path, "ann", key="k"))
        refused(await shoppers.post(path, "ann", key="k", **changes), 422, "idempotency_key_reused")
        assert (await shoppers.post(path, "ann", key="k")).json()["id"] == order["id"]


async def test_a_key_belongs_to_its_buyer_and_its_call(shoppers: Shoppers, market: Market) -> None:
    one, other = await market.deal(), await market.deal()
    orders = [
        placed(await shoppers.join(one, "ann", key="k")),
        placed(await shoppers.join(one, "bob", key="k")),
        placed(await shoppers.join(other, "ann", key="k")),
        placed(await shoppers.buy(one, "ann", key="k")),
        placed(await shoppers.open(one, "ann", key="k")),
    ]
    assert len({order["id"] for order in orders}) == 5


async def test_a_call_without_a_key_is_refused_before_anything_happens(
    api: httpx.AsyncClient, shoppers: Shoppers, bearer: Bearer, market: Market
) -> None:
    deal = await market.deal()
    order = placed(await shoppers.open(deal, "host"))
    paths = [f"/v1/deals/{deal}/{call}" for call in CALLS] + [f"/v1/groups/{order['group_id']}/join"]
    for path in paths:
        for headers in ({}, {"Idempotency-Key": ""}):
            response = await api.post(path, json=ORDER, headers=bearer("buyer", "ann") | headers)
            refused(response, 400, "idempotency_key_missing")
    response = await api.post(f"/v1/orders/{order['id']}/cancel", headers=bearer("buyer", "host"))
    refused(response, 400, "idempotency_key_missing")
    assert len(await market.orders(status="held")) == 1


@pytest.mark.parametrize(
    "key", ["k", "a b", "x" * 255, "'\"\\;--%00{}", "é".encode("latin-1").decode("latin-1"), "null"]
)
async def test_any_printable_key_up_to_255_characters_is_taken(
    shoppers: Shoppers, market: Market, key: str
) -> None:
    path = f"/v1/deals/{await market.deal()}/join"
    headers = {name.encode(): value.encode("latin-1") for name, value in shoppers.headers("ann", key).items()}
    first = await shoppers.api.post(path, json=ORDER, headers=headers)
    again = await shoppers.api.post(path, json=ORDER, headers=headers)
    assert placed(first)["id"] == again.json()["id"]


@pytest.mark.parametrize("key", [b"x" * 256, b"\xa0", "中".encode()])
async def test_a_key_that_is_too_long_or_cannot_be_printed_is_invalid(
    shoppers: Shoppers, market: Market, key: bytes
) -> None:
    path = f"/v1/deals/{await market.deal()}/join"
    headers = {name.encode(): value.encode() for name, value in shoppers.headers("ann").items()}
    problem = refused(
        await shoppers.api.post(path, json=ORDER, headers=headers | {b"Idempotency-Key": key}), 400, "invalid"
    )
    assert [error["field"] for error in problem["errors"]] == ["Idempotency-Key"]


async def test_a_refusal_is_not_remembered(shoppers: Shoppers, market: Market, bearer: Bearer) -> None:
    deal = await market.deal()
    merchant = bearer("merchant", "acme")
    await shoppers.api.post(f"/v1/deals/{deal}/pause", headers=merchant)
    refused(await shoppers.join(deal, "ann", key="k"), 409, "deal_not_active")
    await shoppers.api.post(f"/v1/deals/{deal}/resume", headers=merchant)
    placed(await shoppers.join(deal, "ann", key="k", quantity=2))


async def test_one_key_used_many_times_at_once_places_one_order(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal()
    responses = await asyncio.gather(*(shoppers.join(deal, "ann", key="k") for _ in range(12)))
    assert Counter(response.status_code for response in responses) == {201: 1, 200: 11}
    assert len({response.json()["id"] for response in responses}) == 1
    assert len(await market.orders()) == 1


async def test_a_buyer_who_has_a_seat_is_told_its_order(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal()
    order = placed(await shoppers.join(deal, "ann"))
    for response in (
        await shoppers.join(deal, "ann"),
        await shoppers.join_group(order["group_id"], "ann"),
        await shoppers.join(deal, "ann", quantity=9),
    ):
        assert refused(response, 409, "already_joined")["order_id"] == order["id"]


@pytest.mark.parametrize("call", CALLS)
async def test_a_key_is_found_in_whichever_lane_its_order_went_to(
    shoppers: Shoppers, market: Market, bearer: Bearer, call: str
) -> None:
    deal = await market.deal(stock=2, lanes=2, per_buyer=1)
    path, merchant = f"/v1/deals/{deal}/{call}", bearer("merchant", "acme")
    ann, bob = [name for name in map(str, range(100)) if home_lane(name, 2) == 0][:2]
    first = placed(await shoppers.post(path, ann))
    second = placed(await shoppers.post(path, bob, key="k"))
    assert {order["lane_no"] for order in await market.orders()} == {0, 1}

    async def same() -> None:
        again = await shoppers.post(path, bob, key="k")
        assert (again.status_code, again.json()["id"]) == (200, second["id"])
        refused(await shoppers.post(path, bob, key="k", quantity=2), 422, "idempotency_key_reused")

    await same()
    await shoppers.api.post(f"/v1/deals/{deal}/pause", headers=merchant)
    await same()
    await shoppers.api.post(f"/v1/deals/{deal}/resume", headers=merchant)
    await shoppers.cancel(first["id"], ann)
    await same()
    await shoppers.api.post(f"/v1/deals/{deal}/end", headers=merchant)
    await same()
