"""When a group or a deal takes nobody in, and what one is told then."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from groups.engine import GroupEngine
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.market import Market

pytestmark = pytest.mark.anyio


async def test_the_first_one_after_the_last_seat_finds_the_group_full(
    shoppers: Shoppers, market: Market, engine: GroupEngine
) -> None:
    deal = await market.deal(min_headcount=2, max_headcount=3)
    orders = [placed(await shoppers.join(deal, name)) for name in ("ann", "bob", "cid")]
    group = orders[0]["group_id"]
    assert [(order["group_id"], order["seat"]) for order in orders] == [(group, n) for n in (1, 2, 3)]
    refused(await shoppers.join_group(group, "dan"), 409, "group_full")

    await market.authorise(*(order["id"] for order in orders))
    refused(await shoppers.join_group(group, "dan"), 409, "group_full")
    await engine.advance_due_groups(10)
    assert (await shoppers.api.get(f"/v1/groups/{group}")).json()["status"] == "settling"
    refused(await shoppers.join_group(group, "dan"), 409, "group_full")
    refused(await shoppers.join_group(group, "ann"), 409, "already_joined")
    assert placed(await shoppers.join(deal, "dan"))["group_id"] != group


async def test_a_seat_that_came_free_makes_a_full_group_joinable(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal(min_headcount=2, max_headcount=2)
    first, second = [placed(await shoppers.join(deal, name)) for name in ("ann", "bob")]
    refused(await shoppers.join_group(first["group_id"], "cid"), 409, "group_full")
    await shoppers.cancel(second["id"], "bob")
    assert placed(await shoppers.join_group(first["group_id"], "cid"))["seat"] == 2


async def test_a_group_past_its_deadline_is_closed(
    shoppers: Shoppers, market: Market, engine: GroupEngine
) -> None:
    deal = await market.deal()
    order = placed(await shoppers.open(deal, "ann", key="k"))
    group = order["group_id"]
    await market.pass_deadline(group)
    refused(await shoppers.join_group(group, "bob"), 409, "group_closed")
    assert (await shoppers.api.get(f"/v1/deals/{deal}/groups")).json()["items"] == []
    await engine.advance_due_groups(10)
    assert (await shoppers.api.get(f"/v1/groups/{group}")).json()["status"] == "closing"
    refused(await shoppers.join_group(group, "bob"), 409, "group_closed")
    again = await shoppers.open(deal, "ann", key="k")
    assert (again.status_code, again.json()["group"]["status"]) == (200, "closing")
    assert placed(await shoppers.join(deal, "bob"))["group_id"] != group


async def test_a_paused_deal_refuses_everybody_and_forgets_nothing(
    shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    deal, merchant = await market.deal(), bearer("merchant", "acme")
    order = placed(await shoppers.join(deal, "ann", key="k"))
    await shoppers.api.post(f"/v1/deals/{deal}/pause", headers=merchant)
    for response in (
        await shoppers.join(deal, "bob"),
        await shoppers.open(deal, "bob"),
        await shoppers.buy(deal, "bob"),
        await shoppers.join_group(order["group_id"], "bob"),
    ):
        refused(response, 409, "deal_not_active")
    assert (await shoppers.join(deal, "ann", key="k")).json()["id"] == order["id"]
    refused(await shoppers.join(deal, "ann", key="k", quantity=2), 422, "idempotency_key_reused")
    assert (await shoppers.cancel(order["id"], "ann")).status_code == 200
    await shoppers.api.post(f"/v1/deals/{deal}/resume", headers=merchant)
    assert placed(await shoppers.join(deal, "bob"))["group_id"] == order["group_id"]


async def test_an_ended_deal_opens_no_group_and_lets_open_ones_run_on(
    shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    deal = await market.deal(max_headcount=3, min_headcount=2)
    group = placed(await shoppers.join(deal, "ann"))["group_id"]
    await shoppers.api.post(f"/v1/deals/{deal}/end", headers=bearer("merchant", "acme"))
    refused(await shoppers.open(deal, "bob"), 409, "deal_not_active")
    refused(await shoppers.buy(deal, "bob"), 409, "deal_not_active")
    assert placed(await shoppers.join_group(group, "bob"))["seat"] == 2
    assert placed(await shoppers.join(deal, "cid"))["seat"] == 3
    refused(await shoppers.join(deal, "dan"), 409, "deal_not_active")


@pytest.mark.parametrize("window", ["scheduled", "over"])
async def test_a_deal_outside_its_window_takes_nobody_in(
    shoppers: Shoppers, market: Market, window: str
) -> None:
    deal = await market.deal()
    hours = {"scheduled": (1, 2), "over": (-2, -1)}[window]
    await market.pool.execute(
        "UPDATE deals SET starts_at = app_now() + $2 * interval '1 hour',"
        " ends_at = app_now() + $3 * interval '1 hour' WHERE id = $1",
        deal,
        *hours,
    )
    for response in (
        await shoppers.join(deal, "ann"),
        await shoppers.open(deal, "ann"),
        await shoppers.buy(deal, "ann"),
    ):
        refused(response, 409, "deal_not_active")
    assert await market.orders() == []


async def test_units_are_limited_over_groups_and_purchases_alone(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal(per_buyer=5)
    first = placed(await shoppers.open(deal, "ann", quantity=2))
    placed(await shoppers.open(deal, "ann"))
    placed(await shoppers.buy(deal, "ann", quantity=2))
    other = placed(await shoppers.open(deal, "bob"))["group_id"]
    for response in (
        await shoppers.open(deal, "ann"),
        await shoppers.buy(deal, "ann"),
        await shoppers.join_group(other, "ann"),
        await shoppers.buy(deal, "cid", quantity=6),
        await shoppers.buy(deal, "cid", quantity=1_000_000),
    ):
        refused(response, 409, "limit_reached")
    await shoppers.cancel(first["id"], "ann")
    placed(await shoppers.join_group(other, "ann", quantity=2))


async def test_the_stock_is_units_and_not_seats(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal(stock=5)
    group = placed(await shoppers.open(deal, "ann", quantity=3))["group_id"]
    for response in (
        await shoppers.join(deal, "bob", quantity=3),
        await shoppers.open(deal, "bob", quantity=3),
        await shoppers.buy(deal, "bob", quantity=3),
        await shoppers.join_group(group, "bob", quantity=3),
    ):
        refused(response, 409, "sold_out")
    placed(await shoppers.join(deal, "bob", quantity=2))
    refused(await shoppers.join_group(group, "cid"), 409, "sold_out")


async def test_auto_placement_opens_a_group_only_when_none_has_room(
    shoppers: Shoppers, market: Market
) -> None:
    deal = await market.deal(min_headcount=2, max_headcount=2)
    orders = [placed(await shoppers.join(deal, f"buyer-{n}")) for n in range(5)]
    assert [order["seat"] for order in orders] == [1, 2, 1, 2, 1]
    assert len({order["group_id"] for order in orders}) == 3


class TestTwoInstances:
    """What one process has done, the other knows."""

    @pytest.fixture
    def others(self, another_api: httpx.AsyncClient, bearer: Bearer) -> Shoppers:
        return Shoppers(another_api, bearer)

    async def test_a_key_is_one_key_in_both(
        self, shoppers: Shoppers, others: Shoppers, market: Market
    ) -> None:
        deal = await market.deal()
        responses = await asyncio.gather(
            *(caller.join(deal, "ann", key="k") for caller in (shoppers, others) * 6)
        )
        assert sorted(response.status_code for response in responses) == [200] * 11 + [201]
        assert len({response.json()["id"] for response in responses}) == 1
        refused(await others.join(deal, "ann", key="k", quantity=2), 422, "idempotency_key_reused")

    async def test_a_seat_and_a_change_are_seen_in_both(
        self, shoppers: Shoppers, others: Shoppers, market: Market, bearer: Bearer
    ) -> None:
        deal = await market.deal()
        order = placed(await shoppers.join(deal, "ann"))
        shown = await others.api.get(f"/v1/groups/{order['group_id']}", headers=bearer("buyer", "ann"))
        assert shown.json()["my_order"]["id"] == order["id"]
        refused(await others.join(deal, "ann"), 409, "already_joined")
        assert placed(await others.join_group(order["group_id"], "bob"))["seat"] == 2

        await others.api.post(f"/v1/deals/{deal}/pause", headers=bearer("merchant", "acme"))
        refused(await shoppers.join(deal, "cid"), 409, "deal_not_active")
        await shoppers.api.post(f"/v1/deals/{deal}/resume", headers=bearer("merchant", "acme"))
        assert placed(await others.join(deal, "cid"))["seat"] == 3
        assert (await others.cancel(order["id"], "ann")).status_code == 200
        assert placed(await shoppers.join(deal, "dan"))["seat"] == 1
