"""A buyer's orders, one by one and page by page."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.market import Market

pytestmark = pytest.mark.anyio


async def page(api: httpx.AsyncClient, headers: dict[str, str], **params: Any) -> dict[str, Any]:
    response = await api.get("/v1/orders", params=params, headers=headers)
    assert response.status_code == 200, response.text
    listed: dict[str, Any] = response.json()
    return listed


async def test_orders_come_newest_first_and_pages_stay_right_while_more_are_placed(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    deal, ann = await market.deal(), bearer("buyer", "ann")
    placed_ids = [placed(await shoppers.buy(deal, "ann"))["id"] for _ in range(5)]
    first = await page(api, ann, limit=2)
    placed(await shoppers.join(deal, "ann"))
    second = await page(api, ann, limit=2, cursor=first["next_cursor"])
    placed(await shoppers.buy(deal, "ann"))
    third = await page(api, ann, limit=2, cursor=second["next_cursor"])
    listed = [order["id"] for part in (first, second, third) for order in part["items"]]
    assert listed == placed_ids[::-1]
    assert third["next_cursor"] is None
    assert len((await page(api, ann))["items"]) == 7


async def test_a_listed_order_is_the_order_itself(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    deal, ann = await market.deal(), bearer("buyer", "ann")
    placed(await shoppers.join(deal, "ann", quantity=3))
    placed(await shoppers.buy(deal, "ann", quantity=2))
    solo, seat = (await page(api, ann))["items"]
    assert (solo["group_id"], solo["seat"], solo["group"], solo["quantity"]) == (None, None, None, 2)
    assert solo["promised_price"] == {"amount": 1000, "currency": "USD"}
    assert (seat["seat"], seat["quantity"], seat["group"]["held"]) == (1, 3, 1)
    for order in (solo, seat):
        one = (await api.get(f"/v1/orders/{order['id']}", headers=ann)).json()
        for shown in (one, order):
            (shown["group"] or {}).pop("server_time", None)
        assert one == order


async def test_the_tag_of_an_order_changes_with_the_order_and_its_group(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    ann = bearer("buyer", "ann")
    order = placed(await shoppers.join(await market.deal(), "ann"))
    path = f"/v1/orders/{order['id']}"
    tag = (await api.get(path, headers=ann)).headers["etag"]
    for names in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
        unchanged = await api.get(path, headers=ann | {"If-None-Match": names})
        assert (unchanged.status_code, unchanged.headers["etag"]) == (304, tag)
    await market.authorise(order["id"])
    authorised = await api.get(path, headers=ann | {"If-None-Match": tag})
    assert authorised.status_code == 200
    placed(await shoppers.join_group(order["group_id"], "bob"))
    joined = await api.get(path, headers=ann | {"If-None-Match": authorised.headers["etag"]})
    assert joined.status_code == 200
    assert len({tag, authorised.headers["etag"], joined.headers["etag"]}) == 3


def token(place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).rstrip(b"=").decode()


async def test_cursors_of_nowhere_are_invalid(api: httpx.AsyncClient, market: Market, bearer: Bearer) -> None:
    ann = bearer("buyer", "ann")
    cursors = [
        "",
        "?",
        "中",
        "\0",
        "x" * 600,
        *map(token, ([], {}, None, [1], ["2030-01-01T00:00:00Z", "a", "b"], ["2030-01-01T00:00:00", "a"])),
        *map(token, (["2030-01-01T00:00:00Z", "a\0"], ["2030-01-01T00:00:00Z", ""], [2**70, "a"])),
        *map(token, (["0001-01-01T00:00:00+14:00", "a"], ["9999-12-31T23:59:59-14:00", "a"], [-1, "a"])),
        *map(
            token, ([1, "a\0"], [1, "\ud800"], [2**63, "a"], [1.5, "a"], ["2030-01-01T00:00:00Z", "a" * 200])
        ),
    ]
    lists = ["/v1/orders", "/v1/deals", "/v1/products", f"/v1/deals/{await market.deal()}/groups"]
    for path in lists:
        for cursor in cursors:
            problem = refused(await api.get(path, params={"cursor": cursor}, headers=ann), 400, "invalid")
            assert [error["field"] for error in problem["errors"]] == ["cursor"]


async def test_limits_out_of_range_are_invalid(
    api: httpx.AsyncClient, market: Market, bearer: Bearer
) -> None:
    ann = bearer("buyer", "ann")
    for path in ("/v1/orders", f"/v1/deals/{await market.deal()}/groups"):
        for limit in ("", "0", "-1", "101", "1.5", "x", "\0", "9" * 40, "null", "1;2"):
            problem = refused(await api.get(path, params={"limit": limit}, headers=ann), 400, "invalid")
            assert [error["field"] for error in problem["errors"]] == ["limit"]
        for accepted in ("1", "100"):
            assert (await api.get(path, params={"limit": accepted}, headers=ann)).status_code == 200


async def test_orders_of_one_status_are_listed_page_by_page(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    deal, ann = await market.deal(per_buyer=20), bearer("buyer", "ann")
    orders = [placed(await shoppers.buy(deal, "ann"))["id"] for _ in range(6)]
    await market.end("declined", *orders[::2])
    placed(await shoppers.buy(deal, "bob"))
    first = await page(api, ann, status="declined", limit=2)
    second = await page(api, ann, status="declined", limit=2, cursor=first["next_cursor"])
    assert [order["id"] for order in (*first["items"], *second["items"])] == orders[::2][::-1]
    assert second["next_cursor"] is None
    assert [order["id"] for order in (await page(api, ann, status="held"))["items"]] == orders[1::2][::-1]
    assert (await page(api, ann, status="captured"))["items"] == []
    for status in ("", "paid", "HELD"):
        problem = refused(await api.get("/v1/orders", params={"status": status}, headers=ann), 400, "invalid")
        assert [error["field"] for error in problem["errors"]] == ["status"]


async def test_a_list_of_orders_is_sent_again_only_when_it_changed(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    ann = bearer("buyer", "ann")
    order = placed(await shoppers.join(await market.deal(), "ann"))
    tag = (await api.get("/v1/orders", headers=ann)).headers["etag"]
    unchanged = await api.get("/v1/orders", headers=ann | {"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    placed(await shoppers.join_group(order["group_id"], "bob"))
    assert (await api.get("/v1/orders", headers=ann | {"If-None-Match": tag})).status_code == 200
