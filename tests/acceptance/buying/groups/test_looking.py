"""What a group looks like while it grows: to its members, to others, and to a page that polls."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from groups.engine import GroupEngine
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.market import Market

pytestmark = pytest.mark.anyio


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


async def test_the_price_falls_as_members_are_authorised(
    shoppers: Shoppers, market: Market, engine: GroupEngine
) -> None:
    deal = await market.deal(min_headcount=2, max_headcount=5, ladder=((1, 950), (3, 900), (5, 700)))
    group_id, promises = "", []
    for number in range(1, 6):
        order = placed(await shoppers.join(deal, f"buyer-{number}"))
        group_id = order["group_id"]
        promises.append(order["promised_price"]["amount"])
        held = (await shoppers.api.get(f"/v1/groups/{group_id}")).json()
        assert (held["headcount"], held["held"]) == (number - 1, 1)

        await market.authorise(order["id"])
        group = (await shoppers.api.get(f"/v1/groups/{group_id}")).json()
        assert (group["headcount"], group["held"]) == (number, 0)
        assert group["unit_price"] == usd(950 if number < 3 else 900 if number < 5 else 700)
        expected = {
            1: {"headcount": 3, "unit_price": usd(900), "missing": 2},
            2: {"headcount": 3, "unit_price": usd(900), "missing": 1},
            3: {"headcount": 5, "unit_price": usd(700), "missing": 2},
            4: {"headcount": 5, "unit_price": usd(700), "missing": 1},
            5: None,
        }[number]
        assert group["next_tier"] == expected
        assert group["final_unit_price"] is None
    assert promises == [950, 950, 900, 900, 700]

    await engine.advance_due_groups(10)
    settled = (await shoppers.api.get(f"/v1/groups/{group_id}")).json()
    assert (settled["status"], settled["headcount"]) == ("settling", 5)
    assert settled["final_unit_price"] == settled["unit_price"] == usd(700)
    assert settled["settled_at"] is not None


async def test_a_group_that_failed_has_no_final_price(
    shoppers: Shoppers, market: Market, engine: GroupEngine
) -> None:
    order = placed(await shoppers.open(await market.deal(min_headcount=3), "ann"))
    await market.authorise(order["id"])
    await market.pass_deadline(order["group_id"])
    await engine.advance_due_groups(10)
    group = (await shoppers.api.get(f"/v1/groups/{order['group_id']}")).json()
    assert group["status"] in ("settling", "failed")
    assert (group["final_unit_price"], group["next_tier"], group["headcount"]) == (None, None, 1)


async def test_the_order_of_a_join_shows_its_group(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal(max_headcount=8)
    group = placed(await shoppers.open(deal, "ann"))["group"]
    assert (group["deal_id"], group["status"], group["max_headcount"]) == (deal, "open", 8)
    assert group["share_url"].endswith(f"/g/{group['share_code']}")
    assert group["my_order"] is None
    assert group["opened_at"] < group["deadline"]


async def test_only_a_member_sees_an_order_and_nobody_sees_who_the_others_are(
    shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    deal = await market.deal()
    names = ("ann-of-lyon", "bob-of-bern", "cid-of-cork")
    orders = {name: placed(await shoppers.join(deal, name, ship_to={"name": name})) for name in names}
    group = orders[names[0]]["group_id"]
    code = orders[names[0]]["group"]["share_code"]
    viewers = {name: bearer("buyer", name) for name in (*names, "dan-of-delft")}
    viewers |= {"nobody": {}, "acme": bearer("merchant", "acme"), "root": bearer("admin", names[0])}
    for viewer, headers in viewers.items():
        for path in (f"/v1/groups/{group}", f"/v1/share/{code}"):
            response = await shoppers.api.get(path, headers=headers)
            mine = response.json()["my_order"]
            assert (mine or {}).get("id") == orders.get(viewer, {}).get("id")
            assert_tells_nothing(response, orders, {viewer})
        assert_tells_nothing(await shoppers.api.get(f"/v1/deals/{deal}/groups", headers=headers), orders)
        assert_tells_nothing(await shoppers.api.get(f"/v1/deals/{deal}", headers=headers), orders)
    for name in names:
        mine = await shoppers.api.get(f"/v1/orders/{orders[name]['id']}", headers=viewers[name])
        assert_tells_nothing(mine, orders, {name})
        assert mine.json()["group"]["my_order"] is None


def assert_tells_nothing(
    response: httpx.Response, orders: dict[str, Any], own: set[str] | frozenset[str] = frozenset()
) -> None:
    """No name at all, and no order but one's own."""
    assert response.status_code == 200
    for name, order in orders.items():
        assert name not in response.text
        assert name in own or order["id"] not in response.text


async def test_a_link_leads_to_its_group(shoppers: Shoppers, market: Market) -> None:
    order = placed(await shoppers.open(await market.deal(), "ann"))
    code = order["group"]["share_code"]
    shared = await shoppers.api.get(f"/v1/share/{code}")
    assert shared.json()["id"] == order["group_id"]
    for wrong in (code[:-1], code.upper(), code + "x", order["group_id"]):
        refused(await shoppers.api.get(f"/v1/share/{wrong}"), 404, "not_found")


async def test_a_tag_changes_with_what_is_shown_and_not_with_the_time(
    shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    deal = await market.deal()
    order = placed(await shoppers.open(deal, "ann"))
    paths = [
        f"/v1/groups/{order['group_id']}",
        f"/v1/share/{order['group']['share_code']}",
        f"/v1/deals/{deal}",
    ]
    tags = []
    for path in paths:
        first = await shoppers.api.get(path)
        tags.append(first.headers["etag"])
        unchanged = await shoppers.api.get(path, headers={"If-None-Match": tags[-1]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert (await shoppers.api.get(path, headers={"If-None-Match": '"other"'})).status_code == 200
    as_member = await shoppers.api.get(paths[0], headers=bearer("buyer", "ann") | {"If-None-Match": tags[0]})
    assert as_member.status_code == 200
    placed(await shoppers.join_group(order["group_id"], "bob"))
    for path, tag in zip(paths, tags, strict=True):
        changed = await shoppers.api.get(path, headers={"If-None-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag
    tag = changed.headers["etag"]
    held = (await shoppers.api.get(paths[0])).headers["etag"]
    await market.authorise(order["id"])
    assert (await shoppers.api.get(paths[0], headers={"If-None-Match": held})).status_code == 200
    assert (await shoppers.api.get(paths[2], headers={"If-None-Match": tag})).status_code == 304


async def test_groups_to_join_come_fullest_first_and_page_by_page(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal(stock=1000, max_headcount=4, min_headcount=2)
    sizes = (2, 4, 1, 3, 2, 1)
    groups = []
    for number, size in enumerate(sizes):
        groups.append(placed(await shoppers.open(deal, f"host-{number}"))["group_id"])
        for guest in range(size - 1):
            placed(await shoppers.join_group(groups[-1], f"guest-{number}-{guest}"))

    path, listed, cursor = f"/v1/deals/{deal}/groups", [], None
    for _ in range(10):
        params: dict[str, str | int] = {"status": "open", "limit": 2}
        if cursor:
            params["cursor"] = cursor
        page = (await shoppers.api.get(path, params=params)).json()
        assert len(page["items"]) <= 2
        listed += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    taken = [group["headcount"] + group["held"] for group in listed]
    assert taken == [3, 2, 2, 1, 1]
    assert {group["id"] for group in listed} == {group for group in groups if group != groups[1]}
    assert all(group["my_order"] is None for group in listed)
    assert placed(await shoppers.join(deal, "late"))["group_id"] == listed[0]["id"]


async def test_the_list_says_how_many_are_missing_for_each_price(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal(min_headcount=3)
    orders = [placed(await shoppers.open(deal, "ann"))]
    await market.authorise(orders[0]["id"])

    (group,) = (await shoppers.api.get(f"/v1/deals/{deal}/groups")).json()["items"]

    tiers = [(tier["headcount"], tier["unit_price"]["amount"], tier["missing"]) for tier in group["tiers"]]
    # The ladder begins at two, but a group of two buys nothing.
    assert tiers == [(3, 900, 2), (5, 800, 4), (10, 700, 9)]


async def test_only_open_groups_of_a_deal_that_exists_are_listed(shoppers: Shoppers, market: Market) -> None:
    path = f"/v1/deals/{await market.deal()}/groups"
    assert (await shoppers.api.get(path)).json() == {"items": [], "next_cursor": None}
    for status in ("closed", "", "OPEN"):
        problem = refused(await shoppers.api.get(path, params={"status": status}), 400, "invalid")
        assert [error["field"] for error in problem["errors"]] == ["status"]
    refused(await shoppers.api.get("/v1/deals/deal_0/groups"), 404, "not_found")


async def test_groups_of_a_deal_that_is_paused_not_yet_begun_or_sold_out_are_not_listed(
    shoppers: Shoppers, market: Market
) -> None:
    deal = await market.deal(stock=2)
    path = f"/v1/deals/{deal}/groups"
    group = placed(await shoppers.open(deal, "ann"))["group_id"]
    assert [item["id"] for item in (await shoppers.api.get(path)).json()["items"]] == [group]

    await market.pool.execute("UPDATE deals SET status = 'paused' WHERE id = $1", deal)
    assert (await shoppers.api.get(path)).json()["items"] == []

    await market.pool.execute("UPDATE deals SET status = 'active' WHERE id = $1", deal)
    later = "UPDATE deals SET starts_at = app_now() + $2 * interval '1 hour' WHERE id = $1"
    await market.pool.execute(later, deal, 1)
    assert (await shoppers.api.get(path)).json()["items"] == []

    await market.pool.execute(later, deal, -1)
    assert len((await shoppers.api.get(path)).json()["items"]) == 1
    placed(await shoppers.buy(deal, "bob"))
    assert (await shoppers.api.get(path)).json()["items"] == []


async def test_a_list_of_groups_is_sent_again_only_when_it_changed(
    shoppers: Shoppers, market: Market
) -> None:
    deal = await market.deal()
    path = f"/v1/deals/{deal}/groups"
    order = placed(await shoppers.open(deal, "ann"))
    tag = (await shoppers.api.get(path)).headers["etag"]
    assert (await shoppers.api.get(path, headers={"If-None-Match": tag})).status_code == 304
    await market.authorise(order["id"])
    changed = await shoppers.api.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
