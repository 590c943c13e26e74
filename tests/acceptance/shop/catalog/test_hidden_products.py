"""Drafts of a feed: kept for their merchant, and shown to nobody else until the feed publishes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest

from tests.acceptance.shoppers import Bearer, Shoppers

pytestmark = pytest.mark.anyio

HEADER = "Handle,Title,Variant Price,Variant SKU,Published,Status\n"
DRAFT = HEADER + "secret,Unreleased lamp,9.99,S1,TRUE,draft\n"
PUBLISHED = HEADER + "secret,Unreleased lamp,9.99,S1,TRUE,active\n"

Import = Callable[..., Awaitable[dict[str, Any]]]
Titles = Callable[..., Awaitable[list[str]]]


@pytest.fixture
def importing(api: httpx.AsyncClient, bearer: Bearer) -> Import:
    """Imports a feed of the merchant `loom`."""

    async def importing(feed: str) -> dict[str, Any]:
        headers = bearer("merchant", "loom") | {"Content-Type": "text/csv"}
        response = await api.post("/v1/merchant/imports", content=feed, headers=headers)
        assert response.status_code == 200, response.text
        result: dict[str, Any] = response.json()
        return result

    return importing


@pytest.fixture
def titles(api: httpx.AsyncClient) -> Titles:
    """The titles on the first page of a list, as somebody sees it."""

    async def titles(path: str, viewer: Mapping[str, str], **params: str) -> list[str]:
        response = await api.get(path, params=params, headers=dict(viewer))
        assert response.status_code == 200, response.text
        return [item["title"] for item in response.json()["items"]]

    return titles


async def make_deal(api: httpx.AsyncClient, bearer: Bearer) -> httpx.Response:
    """Puts the only product of `loom` on offer."""
    params, headers = {"merchant_id": "loom"}, bearer("merchant", "loom")
    (product,) = (await api.get("/v1/products", params=params, headers=headers)).json()["items"]
    body = {
        "variant_id": product["variants"][0]["id"],
        "ladder": [{"headcount": 2, "unit_price": 900}],
        "min_headcount": 2,
        "max_headcount": 5,
        "group_ttl_seconds": 3600,
        "stock": 10,
        "per_buyer_units": 1,
    }
    return await api.post("/v1/deals", json=body, headers=headers)


@pytest.mark.parametrize(
    ("feed", "hidden"),
    [
        (DRAFT, 1),
        (HEADER + "a,Lamp,9.99,S1,FALSE,active\n", 1),
        (HEADER + "a,Lamp,9.99,S1,,archived\n", 1),
        (HEADER + "a,Lamp,9.99,S1,TRUE,unlisted\n", 1),
        (HEADER + "a,Lamp,9.99,S1,TRUE,\nb,Pot,9.99,S2,true,Active\n", 0),
        ("id,title,price,visibility\n1,Lamp,5 USD,hidden\n2,Pot,5 USD,staging\n3,Pan,5 USD,published\n", 2),
        ("id,title,price,status\n1,Lamp,5 USD,archived\n2,Pot,5 USD,active\n", 1),
        # One variant of several is no reason to hide the others.
        ("id,title,price,status,item_group_id\n1,Lamp,5 USD,archived,G\n2,Lamp,5 USD,active,G\n", 0),
    ],
)
async def test_an_import_says_how_many_products_it_hid(importing: Import, feed: str, hidden: int) -> None:
    assert (await importing(feed))["products_hidden"] == hidden


async def test_a_draft_is_shown_to_its_merchant_alone(
    api: httpx.AsyncClient, bearer: Bearer, importing: Import, titles: Titles
) -> None:
    await importing(DRAFT)
    owner, admin = bearer("merchant", "loom"), bearer("admin", "root")
    others: list[Mapping[str, str]] = [{}, bearer("buyer", "ann"), bearer("merchant", "rival")]
    searches = [{}, {"merchant_id": "loom"}, {"q": "unreleased"}, {"currency": "USD"}, {"on_deal": "false"}]
    for params in searches:
        for viewer in others:
            assert await titles("/v1/products", viewer, **params) == []
        assert await titles("/v1/products", admin, **params) == ["Unreleased lamp"]
    listed = await api.get("/v1/products", params={"merchant_id": "loom"}, headers=owner)
    (product,) = listed.json()["items"]
    assert product["visibility"] == "hidden"
    for viewer in others:
        assert (await api.get(f"/v1/products/{product['id']}", headers=dict(viewer))).status_code == 404
    assert (await api.get(f"/v1/products/{product['id']}", headers=owner)).status_code == 200
    # Among everybody's products the merchant sees what shoppers see.
    assert await titles("/v1/products", owner) == []


async def test_a_draft_is_published_by_the_next_import(importing: Import, titles: Titles) -> None:
    await importing(DRAFT)
    published = await importing(PUBLISHED)
    assert (published["products_changed"], published["products_hidden"]) == (1, 0)
    assert await titles("/v1/products", {}, q="lamp") == ["Unreleased lamp"]
    assert (await importing(PUBLISHED))["products_changed"] == 0


async def test_nothing_of_a_draft_is_put_on_offer(
    api: httpx.AsyncClient, bearer: Bearer, importing: Import
) -> None:
    await importing(DRAFT)
    refused = await make_deal(api, bearer)
    assert (refused.status_code, refused.json()["errors"]) == (
        400,
        [{"field": "variant_id", "message": "belongs to a product that is hidden from shoppers"}],
    )
    await importing(PUBLISHED)
    assert (await make_deal(api, bearer)).status_code == 201


async def test_a_deal_whose_product_is_hidden_is_found_no_more_and_its_groups_go_on(
    api: httpx.AsyncClient, bearer: Bearer, importing: Import, titles: Titles, shoppers: Shoppers
) -> None:
    await importing(PUBLISHED)
    deal = (await make_deal(api, bearer)).json()
    group = (await shoppers.open(deal["id"], "ann")).json()["group"]
    await importing(DRAFT)
    for sort in ("newest", "ending_soon", "lowest_price", "biggest_discount"):
        assert await titles("/v1/deals", {}, sort=sort) == []
    for params in ({"q": "lamp"}, {"product_id": deal["product_id"]}, {"merchant_id": "loom"}):
        assert await titles("/v1/deals", {}, **params) == []
        assert await titles("/v1/deals", bearer("admin", "root"), **params) == ["Unreleased lamp"]
    assert await titles("/v1/deals", bearer("merchant", "loom"), merchant_id="loom") == ["Unreleased lamp"]
    for path in (f"/v1/deals/{deal['id']}", f"/v1/groups/{group['id']}", f"/g/{group['share_code']}"):
        assert (await api.get(path)).status_code == 200
