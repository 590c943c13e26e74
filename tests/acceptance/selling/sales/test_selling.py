"""What merchants see of their orders and groups, and what they do not."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import httpx
import pytest

from groups.engine import GroupEngine
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.market import Market

pytestmark = pytest.mark.anyio

ORDERS = "/v1/merchant/orders"
GROUPS = "/v1/merchant/groups"
HOME = {"name": "Ann Lee", "city": "Lyon", "country": "FR"}


async def items(api: httpx.AsyncClient, path: str, headers: dict[str, str], **params: Any) -> list[Any]:
    """All items of a list, a small page at a time."""
    found: list[Any] = []
    cursor: str | None = None
    while True:
        asked = params | {"limit": 2} | ({"cursor": cursor} if cursor else {})
        response = await api.get(path, params=asked, headers=headers)
        assert response.status_code == 200, response.text
        page = response.json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def make_merchant(market: Market, merchant: str, *deals: str) -> None:
    """Lets the deals be this merchant's."""
    await market.pool.execute("INSERT INTO merchants (id) VALUES ($1)", merchant)
    await market.pool.execute("UPDATE deals SET merchant_id = $1 WHERE id = ANY($2::text[])", merchant, deals)


async def succeed(market: Market, engine: GroupEngine, *orders: dict[str, Any]) -> None:
    """Settles the group of the orders and captures them."""
    await market.authorise(*(order["id"] for order in orders))
    await market.pass_deadline(orders[0]["group_id"])
    await engine.advance_due_groups(10)
    await market.end_operations("capture")


async def test_a_merchant_sees_all_of_their_orders_and_nobody_elses(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    first, second, foreign = [await market.deal() for _ in range(3)]
    await make_merchant(market, "zenith", foreign)
    mine = [placed(await shoppers.join(first, name)) for name in ("ann", "bob", "cid")]
    mine += [placed(await shoppers.buy(second, "ann")), placed(await shoppers.open(second, "bob"))]
    theirs = placed(await shoppers.join(foreign, "ann"))
    await market.authorise(mine[1]["id"])
    await market.end("declined", mine[2]["id"])

    acme, zenith = bearer("merchant", "acme"), bearer("merchant", "zenith")
    sold = await items(api, ORDERS, acme)
    assert [sale["id"] for sale in sold] == [order["id"] for order in reversed(mine)]
    assert [sale["id"] for sale in await items(api, ORDERS, zenith)] == [theirs["id"]]
    by_id = {sale["id"]: sale for sale in sold}
    seat = by_id[mine[1]["id"]]
    assert (seat["deal_id"], seat["group_id"], seat["seat"]) == (first, mine[1]["group_id"], 2)
    assert (seat["status"], seat["payment"]) == ("authorised", {"status": "authorised"})
    assert seat["promised_price"] == mine[1]["promised_price"]
    assert (seat["charged_unit_price"], seat["charged_total"]) == (None, None)

    for headers, order in ((acme, mine[0]), (zenith, theirs), (bearer("admin", "root"), theirs)):
        one = await api.get(f"{ORDERS}/{order['id']}", headers=headers)
        assert one.json()["id"] == order["id"]
    refused(await api.get(f"{ORDERS}/{theirs['id']}", headers=acme), 404, "not_found")
    refused(await api.get(f"{ORDERS}/ord_0", headers=acme), 404, "not_found")


async def test_filters_narrow_orders_down(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    first, second = await market.deal(), await market.deal()
    leader = placed(await shoppers.open(first, "ann"))
    others = [placed(await shoppers.join_group(leader["group_id"], name)) for name in ("bob", "cid", "dan")]
    solo, elsewhere = placed(await shoppers.buy(first, "eve")), placed(await shoppers.open(second, "eve"))
    await market.authorise(others[0]["id"], others[1]["id"])
    await market.end("declined", others[2]["id"])
    acme, group = bearer("merchant", "acme"), leader["group_id"]

    async def ids(**params: Any) -> set[str]:
        found = [sale["id"] for sale in await items(api, ORDERS, acme, **params)]
        assert len(found) == len(set(found))
        return set(found)

    members = {order["id"] for order in (leader, *others)}
    assert await ids(deal_id=second) == {elsewhere["id"]}
    assert await ids(deal_id="deal_0") == set()
    assert await ids(group_id=group) == members
    assert await ids(group_id=group, deal_id=second) == set()
    assert await ids(group_id="grp_0") == set()
    for extra in ({}, {"group_id": group}, {"deal_id": first}):
        assert await ids(status="authorised", **extra) == {others[0]["id"], others[1]["id"]}
        assert await ids(status="declined", **extra) == {others[2]["id"]}
        assert await ids(status="refunded", **extra) == set()
    assert await ids(status="held", deal_id=first) == {leader["id"], solo["id"]}
    assert await ids(status="held", group_id=group) == {leader["id"]}

    everything = members | {solo["id"], elsewhere["id"]}
    moment = others[1]["created_at"]
    before = await ids(created_to=moment)
    since = await ids(created_from=moment)
    assert before == {leader["id"], others[0]["id"]}
    assert since == everything - before
    assert await ids(created_from=moment, group_id=group) == {others[1]["id"], others[2]["id"]}
    assert await ids(created_to=moment, group_id=group) == before
    assert await ids(created_from=moment, created_to=moment) == set()


async def test_pages_stay_right_while_orders_arrive_and_change(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    deal, acme = await market.deal(), bearer("merchant", "acme")
    old = [placed(await shoppers.buy(deal, f"buyer-{number}"))["id"] for number in range(5)]
    listed: list[str] = []
    cursor = None
    for _ in range(3):
        params: dict[str, Any] = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(ORDERS, params=params, headers=acme)).json()
        listed += [sale["id"] for sale in page["items"]]
        cursor = page["next_cursor"]
        fresh = placed(await shoppers.buy(deal, "late"))
        await market.end("declined", fresh["id"])
    assert listed == old[::-1]
    assert cursor is None


async def test_an_address_is_shown_once_the_order_is_paid_for(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer, engine: GroupEngine
) -> None:
    deal = await market.deal(min_headcount=2, ladder=((2, 900), (3, 800)))
    acme = bearer("merchant", "acme")
    orders = [
        placed(await shoppers.join(deal, name, quantity=2, ship_to=HOME | {"name": name}))
        for name in ("ann", "bob", "cid")
    ]
    await market.authorise(orders[0]["id"])
    for order in orders:
        assert (await api.get(f"{ORDERS}/{order['id']}", headers=acme)).json()["ship_to"] is None
    await market.end("declined", orders[2]["id"])
    await succeed(market, engine, *orders[:2])
    sold = {sale["id"]: sale for sale in await items(api, ORDERS, acme, status="captured")}
    assert set(sold) == {orders[0]["id"], orders[1]["id"]}
    for order, name in zip(orders[:2], ("ann", "bob"), strict=True):
        sale = sold[order["id"]]
        assert sale["ship_to"] == HOME | {"name": name}
        assert (sale["charged_unit_price"]["amount"], sale["charged_total"]["amount"]) == (900, 1800)
        assert sale["updated_at"] > sale["created_at"]
    assert (await api.get(f"{ORDERS}/{orders[2]['id']}", headers=acme)).json()["ship_to"] is None


async def test_a_buyer_has_one_reference_with_each_merchant_and_no_name(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    first, second, foreign = [await market.deal() for _ in range(3)]
    await make_merchant(market, "zenith", foreign)
    for deal in (first, second, foreign):
        for buyer in ("ann-of-lyon", "bob-of-bern"):
            placed(await shoppers.buy(deal, buyer))
    references: dict[str, set[str]] = {}
    for merchant, orders in (("acme", 4), ("zenith", 2)):
        for path in (ORDERS, GROUPS):
            response = await api.get(path, headers=bearer("merchant", merchant))
            assert "ann-of-lyon" not in response.text
            assert "bob-of-bern" not in response.text
        sold = await items(api, ORDERS, bearer("merchant", merchant))
        assert len(sold) == orders
        references[merchant] = {sale["buyer_reference"] for sale in sold}
        assert len(references[merchant]) == 2
    assert not references["acme"] & references["zenith"]


async def test_groups_are_shown_with_what_was_sold_in_them(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer, engine: GroupEngine
) -> None:
    deal = await market.deal(min_headcount=2, ladder=((2, 900), (3, 800)))
    other = await market.deal()
    foreign = await market.deal()
    await make_merchant(market, "zenith", foreign)
    leader = placed(await shoppers.open(deal, "ann", quantity=3))
    bob = placed(await shoppers.join_group(leader["group_id"], "bob"))
    cid = placed(await shoppers.join_group(leader["group_id"], "cid"))
    await market.end("declined", cid["id"])
    await succeed(market, engine, leader, bob)
    later = placed(await shoppers.open(deal, "dan", quantity=2))
    elsewhere = placed(await shoppers.open(other, "dan"))
    placed(await shoppers.open(foreign, "dan"))

    acme = bearer("merchant", "acme")
    groups = await items(api, GROUPS, acme)
    assert [group["id"] for group in groups] == [order["group_id"] for order in (elsewhere, later, leader)]
    assert [group["id"] for group in await items(api, GROUPS, acme, deal_id=deal)] == [
        later["group_id"],
        leader["group_id"],
    ]
    assert [group["id"] for group in await items(api, GROUPS, acme, status="open", deal_id=deal)] == [
        later["group_id"]
    ]
    (sold,) = await items(api, GROUPS, acme, status=groups[2]["status"])
    assert sold["orders_by_status"] == {"captured": 2, "declined": 1}
    assert (sold["units"], sold["revenue"]) == (4, {"amount": 3600, "currency": "USD"})
    assert (sold["headcount"], sold["final_unit_price"]["amount"]) == (2, 900)
    assert groups[1]["orders_by_status"] == {"held": 1}
    assert (groups[1]["units"], groups[1]["revenue"]["amount"]) == (2, 0)


async def test_tags_spare_a_dashboard_what_has_not_changed(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    order = placed(await shoppers.open(await market.deal(), "ann"))
    acme = bearer("merchant", "acme")
    for path in (ORDERS, GROUPS, f"{ORDERS}/{order['id']}"):
        before = await api.get(path, headers=acme)
        again = acme | {"If-None-Match": before.headers["etag"]}
        assert (await api.get(path, headers=again)).status_code == 304
    tags = {path: (await api.get(path, headers=acme)).headers["etag"] for path in (ORDERS, GROUPS)}
    await market.authorise(order["id"])
    for path, tag in tags.items():
        assert (await api.get(path, headers=acme | {"If-None-Match": tag})).status_code == 200


async def test_only_merchants_look_and_admins_say_whose_sales_they_mean(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    order = placed(await shoppers.open(await market.deal(), "ann"))
    admin, acme = bearer("admin", "root"), bearer("merchant", "acme")
    for path in (ORDERS, GROUPS):
        refused(await api.get(path), 401, "unauthenticated")
        refused(await api.get(path, headers=bearer("buyer", "ann")), 403, "forbidden")
        problem = refused(await api.get(path, headers=admin), 400, "invalid")
        assert [error["field"] for error in problem["errors"]] == ["merchant_id"]
        assert len(await items(api, path, admin, merchant_id="acme")) == 1
        assert await items(api, path, admin, merchant_id="nobody") == []
        assert len(await items(api, path, acme, merchant_id="acme")) == 1
        refused(await api.get(path, params={"merchant_id": "zenith"}, headers=acme), 403, "forbidden")
        assert await items(api, path, bearer("merchant", "newcomer")) == []
    for headers, status, code in (({}, 401, "unauthenticated"), (bearer("buyer", "ann"), 403, "forbidden")):
        refused(await api.get(f"{ORDERS}/{order['id']}", headers=headers), status, code)


async def test_filters_that_make_no_sense_are_invalid(api: httpx.AsyncClient, bearer: Bearer) -> None:
    acme = bearer("merchant", "acme")
    for path, name, values in (
        (ORDERS, "status", ("open", "", "HELD", "\0")),
        (GROUPS, "status", ("held", "", "OPEN")),
        (
            ORDERS,
            "created_from",
            ("yesterday", "2030-01-01T00:00:00", "9999-12-31T23:59:59-14:00", "\0", "0.5", ""),
        ),
        (ORDERS, "created_to", ("2030-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00")),
        (ORDERS, "deal_id", ("\0", "x" * 300)),
        (ORDERS, "group_id", ("\0",)),
        (GROUPS, "deal_id", ("\0",)),
        (ORDERS, "cursor", ("x", "W10")),
        (GROUPS, "cursor", ("x", "W10")),
        (ORDERS, "limit", ("0", "101")),
        (ORDERS, "colour", ("red",)),
    ):
        for value in values:
            problem = refused(await api.get(path, params={name: value}, headers=acme), 400, "invalid")
            assert [error["field"] for error in problem["errors"]] == [name]


async def test_a_spreadsheet_holds_the_same_orders_part_by_part(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer, engine: GroupEngine
) -> None:
    deal, other = await market.deal(min_headcount=2, ladder=((2, 900), (3, 800))), await market.deal()
    acme = bearer("merchant", "acme")
    home = HOME | {"name": '=HYPERLINK("x"), "quoted",\nand more'}
    members = [placed(await shoppers.join(deal, name, ship_to=home)) for name in ("ann", "bob")]
    await succeed(market, engine, *members)
    placed(await shoppers.buy(deal, "cid"))
    placed(await shoppers.buy(other, "cid"))

    rows: list[dict[str, str]] = []
    path, params = f"{ORDERS}.csv", {"deal_id": deal, "limit": "2"}
    while path:
        response = await api.get(path, params=params or None, headers=acme)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        assert response.content.startswith(b"\xef\xbb\xbforder_id,")
        part = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
        assert len(part) <= 2
        rows += part
        path, params = response.links.get("next", {}).get("url", ""), {}
    sold = await items(api, ORDERS, acme, deal_id=deal)
    assert [row["order_id"] for row in rows] == [sale["id"] for sale in sold]
    assert len(rows) == 3
    for row, sale in zip(rows, sold, strict=True):
        for name in ("deal_id", "status", "buyer_reference", "created_at", "updated_at"):
            assert row[name] == sale[name]
        assert int(row["promised_price_minor"]) == sale["promised_price"]["amount"]
        assert row["ship_to"] == "" if sale["ship_to"] is None else json.loads(row["ship_to"]) == home
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())
    charged = {
        (row["charged_total_minor"], row["charged_total"]) for row in rows if row["status"] == "captured"
    }
    assert charged == {("900", "9.00")}
    refused(await api.get(f"{ORDERS}.csv", headers=bearer("buyer", "ann")), 403, "forbidden")
    refused(await api.get(f"{ORDERS}.csv"), 401, "unauthenticated")


async def test_a_group_that_ended_and_nobody_ever_paid_in_is_in_no_list_and_no_sweep(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, engine: GroupEngine, bearer: Bearer
) -> None:
    deal = await market.deal()
    unpaid = placed(await shoppers.open(deal, "ann"))
    left = placed(await shoppers.open(deal, "bob"))
    acme = bearer("merchant", "acme")
    await market.end("declined", unpaid["id"])
    await market.authorise(left["id"])
    assert (await shoppers.cancel(left["id"], "bob")).status_code == 200
    assert len(await items(api, GROUPS, acme)) == 2
    for order in (unpaid, left):
        await market.pass_deadline(order["group_id"])
    await engine.advance_due_groups(10)

    for params in ({}, {"status": "failed"}, {"deal_id": deal}):
        assert [group["id"] for group in await items(api, GROUPS, acme, **params)] == [left["group_id"]]
    assert [sale["id"] for sale in await items(api, ORDERS, acme)] == [left["id"], unpaid["id"]]
    assert (await api.get(f"/v1/groups/{unpaid['group_id']}")).json()["status"] == "failed", "links stay"
    watched = "SELECT count(*) FROM group_progress WHERE check_at IS NOT NULL"
    assert await market.pool.fetchval(watched) == 0
