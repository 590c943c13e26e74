"""Leaving a group or a purchase, while that is possible."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest

from tests.acceptance.shoppers import Shoppers, placed, refused
from tests.market import Market

pytestmark = pytest.mark.anyio


async def test_a_held_seat_is_given_back(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal(stock=2, min_headcount=2, max_headcount=2)
    order = placed(await shoppers.join(deal, "ann"))
    placed(await shoppers.join(deal, "bob"))
    refused(await shoppers.join(deal, "cid"), 409, "sold_out")
    left = await shoppers.cancel(order["id"], "ann")
    assert (left.status_code, left.json()["status"]) == (200, "cancelled")
    assert left.json()["group"]["held"] == 1
    assert placed(await shoppers.join_group(order["group_id"], "cid"))["seat"] == order["seat"]


async def test_an_authorised_seat_is_given_back_and_its_payment_voided(
    shoppers: Shoppers, market: Market
) -> None:
    order = placed(await shoppers.join(await market.deal(), "ann"))
    await market.authorise(order["id"])
    left = (await shoppers.cancel(order["id"], "ann")).json()
    assert (left["status"], left["payment"]["status"]) == ("cancelled", "voiding")
    assert (left["group"]["headcount"], left["group"]["held"]) == (0, 0)
    assert left["charged_total"] is None


async def test_one_may_come_back_after_leaving(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal(per_buyer=1)
    order = placed(await shoppers.join(deal, "ann"))
    await shoppers.cancel(order["id"], "ann")
    again = placed(await shoppers.join(deal, "ann"))
    assert again["group_id"] == order["group_id"]
    assert again["id"] != order["id"]


async def test_a_repeated_cancel_changes_nothing(shoppers: Shoppers, market: Market) -> None:
    order = placed(await shoppers.join(await market.deal(), "ann"))
    responses = await asyncio.gather(*(shoppers.cancel(order["id"], "ann", key="k") for _ in range(8)))
    assert Counter(response.status_code for response in responses) == {200: 8}
    assert {response.json()["status"] for response in responses} == {"cancelled"}


async def test_cancels_under_several_keys_succeed_once(shoppers: Shoppers, market: Market) -> None:
    order = placed(await shoppers.join(await market.deal(), "ann"))
    responses = await asyncio.gather(*(shoppers.cancel(order["id"], "ann") for _ in range(8)))
    assert Counter(response.status_code for response in responses) == {200: 1, 409: 7}
    assert (await shoppers.join(order["deal_id"], "ann")).status_code == 201


async def test_what_is_over_cannot_be_cancelled(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal()
    cancelled = placed(await shoppers.open(deal, "ann"))
    await shoppers.cancel(cancelled["id"], "ann")
    refused(await shoppers.cancel(cancelled["id"], "ann"), 409, "not_cancellable")

    late = placed(await shoppers.open(deal, "bob"))
    await market.pass_deadline(late["group_id"])
    refused(await shoppers.cancel(late["id"], "bob"), 409, "not_cancellable")

    for status in ("declined", "expired"):
        ended = placed(await shoppers.open(deal, status))
        await market.pool.execute("UPDATE orders SET status = $2 WHERE id = $1", ended["id"], status)
        refused(await shoppers.cancel(ended["id"], status), 409, "not_cancellable")


async def test_a_purchase_alone_can_be_cancelled_until_it_is_paid(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal()
    held = placed(await shoppers.buy(deal, "ann"))
    assert (await shoppers.cancel(held["id"], "ann")).json()["status"] == "cancelled"
    paid = placed(await shoppers.buy(deal, "bob"))
    await market.authorise(paid["id"])
    refused(await shoppers.cancel(paid["id"], "bob"), 409, "not_cancellable")


async def test_nobody_leaves_at_the_cost_of_another_members_promise(
    shoppers: Shoppers, market: Market
) -> None:
    deal = await market.deal(min_headcount=2, ladder=((2, 900), (5, 800)))
    orders = []
    for name in ("ann", "bob", "cid", "dan"):
        orders.append(placed(await shoppers.join(deal, name)))
        await market.authorise(orders[-1]["id"])
    last = placed(await shoppers.join(deal, "eve"))
    assert last["promised_price"]["amount"] == 800
    await market.authorise(last["id"])

    refused(await shoppers.cancel(orders[0]["id"], "ann"), 409, "cancel_locked")
    assert (await shoppers.cancel(last["id"], "eve")).status_code == 200
    assert (await shoppers.cancel(orders[0]["id"], "ann")).status_code == 200


async def test_a_cancel_takes_no_fields(api: httpx.AsyncClient, shoppers: Shoppers, market: Market) -> None:
    order = placed(await shoppers.join(await market.deal(), "ann"))
    path = f"/v1/orders/{order['id']}/cancel"
    headers = shoppers.headers("ann")
    for content, status, code in (
        ('{"reason": "rain"}', 400, "invalid"),
        ("[]", 400, "invalid"),
        ("{", 400, "invalid"),
        ("x" * 100_000, 413, "too_large"),
    ):
        sent = await api.post(path, content=content, headers=headers | {"Content-Type": "application/json"})
        refused(sent, status, code)
    refused(await api.post(path, content="{}", headers=headers), 415, "unsupported_media_type")
    assert (await api.post(path, json={}, headers=headers)).json()["status"] == "cancelled"


async def test_a_leader_who_leaves_does_not_close_the_group(shoppers: Shoppers, market: Market) -> None:
    order = placed(await shoppers.open(await market.deal(), "ann"))
    bob = placed(await shoppers.join_group(order["group_id"], "bob"))
    await shoppers.cancel(order["id"], "ann")
    await shoppers.cancel(bob["id"], "bob")
    group = (await shoppers.api.get(f"/v1/groups/{order['group_id']}")).json()
    assert (group["status"], group["headcount"], group["held"]) == ("open", 0, 0)
    assert placed(await shoppers.join_group(order["group_id"], "cid"))["seat"] == 1
