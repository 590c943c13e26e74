"""A merchant changes what it sells."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pintuan.base.limits import Limit
from pintuan.shop.catalog import changes, pace
from pintuan.shop.catalog.limits import REQUEST_VARIANTS_MAX
from tests.acceptance.shoppers import Bearer

pytestmark = pytest.mark.anyio

PRICE = {"amount": 1999, "currency": "USD"}


@pytest.fixture
async def kettle(api: httpx.AsyncClient, bearer: Bearer) -> dict[str, Any]:
    """A product of two variants."""
    body = {
        "title": "Kettle",
        "description": "Boils",
        "images": ["https://img.example/kettle.jpg"],
        "variants": [
            {"sku": "K-RED", "title": "Red", "list_price": PRICE, "options": {"Color": "Red"}},
            {"sku": "K-BLUE", "title": "Blue", "list_price": PRICE, "options": {"Color": "Blue"}},
        ],
    }
    created = await api.post("/v1/products", json=body, headers=bearer("merchant", "teahouse"))
    product: dict[str, Any] = created.json()
    return product


async def test_what_is_given_changes_and_the_rest_stays(
    api: httpx.AsyncClient, bearer: Bearer, kettle: dict[str, Any]
) -> None:
    path, headers = f"/v1/products/{kettle['id']}", bearer("merchant", "teahouse")
    tag = (await api.get(path)).headers["etag"]
    changed = await api.patch(path, json={"title": "Teapot", "images": []}, headers=headers)
    assert (changed.status_code, changed.json()) == (200, kettle | {"title": "Teapot", "images": []})
    shown = await api.get(path, headers={"If-None-Match": tag})
    assert shown.json() == changed.json()
    assert (await api.patch(path, json={}, headers=headers)).json() == changed.json()


async def test_variants_are_changed_and_added_behind_the_others(
    api: httpx.AsyncClient, bearer: Bearer, kettle: dict[str, Any]
) -> None:
    red, blue = kettle["variants"]
    dearer = {"amount": 2999, "currency": "EUR"}
    change = {
        "variants": [{"id": red["id"], "list_price": dearer, "images": ["https://img.example/red.jpg"]}],
        "new_variants": [
            {"sku": f"K-{n}", "title": f"No. {n}", "list_price": PRICE, "options": {"Color": f"No. {n}"}}
            for n in (1, 2)
        ],
    }
    changed = await api.patch(
        f"/v1/products/{kettle['id']}", json=change, headers=bearer("merchant", "teahouse")
    )
    assert changed.status_code == 200, changed.text
    product = changed.json()
    assert product["variants"][:2] == [
        red | {"list_price": dearer, "images": ["https://img.example/red.jpg"]},
        blue,
    ]
    assert [variant["sku"] for variant in product["variants"][2:]] == ["K-1", "K-2"]
    assert product["options"] == [{"name": "Color", "values": ["Red", "Blue", "No. 1", "No. 2"]}]


async def test_a_deal_keeps_the_list_price_it_was_made_at(
    api: httpx.AsyncClient, bearer: Bearer, kettle: dict[str, Any]
) -> None:
    headers = bearer("merchant", "teahouse")
    red = kettle["variants"][0]["id"]
    offer = {
        "variant_id": red,
        "ladder": [{"headcount": 2, "unit_price": 1500}],
        "min_headcount": 2,
        "max_headcount": 5,
        "group_ttl_seconds": 60,
        "stock": 5,
        "per_buyer_units": 1,
    }
    deal = (await api.post("/v1/deals", json=offer, headers=headers)).json()
    cheaper = {"variants": [{"id": red, "list_price": {"amount": 1000, "currency": "USD"}}]}
    assert (await api.patch(f"/v1/products/{kettle['id']}", json=cheaper, headers=headers)).status_code == 200
    assert (await api.get(f"/v1/deals/{deal['id']}")).json()["list_price"] == PRICE
    refused = await api.post("/v1/deals", json=offer, headers=headers)
    assert [error["field"] for error in refused.json()["errors"]] == ["ladder[0].unit_price"]


async def test_an_admin_changes_any_product_and_a_rival_none(
    api: httpx.AsyncClient, bearer: Bearer, kettle: dict[str, Any]
) -> None:
    path = f"/v1/products/{kettle['id']}"
    rival = await api.patch(path, json={"title": "Mine"}, headers=bearer("merchant", "rival"))
    assert (rival.status_code, rival.json()["code"]) == (404, "not_found")
    assert (await api.patch(path, json={}, headers=bearer("buyer", "ann"))).status_code == 403
    assert (await api.patch(path, json={})).status_code == 401
    admin = await api.patch(path, json={"title": "Ours"}, headers=bearer("admin", "root"))
    assert admin.json()["title"] == "Ours"
    missing = await api.patch("/v1/products/prd_0", json={"title": "None"}, headers=bearer("admin", "root"))
    assert missing.status_code == 404


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"title": ""}, ["title"]),
        ({"title": None}, ["title"]),
        ({"sku": "K"}, ["sku"]),
        ({"images": ["kettle.jpg"]}, ["images[0]"]),
        ({"variants": [{"id": "var_0"}]}, ["variants[0].id"]),
        ({"variants": [{"id": "RED"}, {"id": "RED"}]}, ["variants[1].id"]),
        (
            {"variants": [{"id": "RED", "list_price": {"amount": 1, "currency": "QQQ"}}]},
            ["variants[0].list_price.currency"],
        ),
        ({"variants": [{"id": "RED", "sku": "K-2"}]}, ["variants[0].sku"]),
        ({"new_variants": [{"sku": "K-RED", "title": "Red", "list_price": PRICE}]}, ["new_variants[0].sku"]),
        (
            {"new_variants": [{"sku": "K-1", "title": "One", "list_price": PRICE}] * 2},
            ["new_variants[1].sku"],
        ),
        (
            {
                "new_variants": [
                    {"sku": f"K-{n}", "title": "N", "list_price": PRICE}
                    for n in range(REQUEST_VARIANTS_MAX + 1)
                ]
            },
            ["new_variants"],
        ),
        (
            {
                "variants": [{"id": "var_0"}],
                "new_variants": [{"sku": "K-RED", "title": "Red", "list_price": PRICE}],
            },
            ["variants[0].id", "new_variants[0].sku"],
        ),
    ],
)
async def test_a_change_that_does_not_fit_is_refused_by_field(
    api: httpx.AsyncClient, bearer: Bearer, kettle: dict[str, Any], change: dict[str, Any], fields: list[str]
) -> None:
    for variant in change.get("variants", []):
        if variant["id"] == "RED":
            variant["id"] = kettle["variants"][0]["id"]
    path = f"/v1/products/{kettle['id']}"
    refused = await api.patch(path, json=change, headers=bearer("merchant", "teahouse"))
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    assert [error["field"].removesuffix("[...]") for error in refused.json()["errors"]] == fields
    assert (await api.get(path)).json() == kettle


async def test_a_merchant_changes_so_many_products_a_minute(
    api: httpx.AsyncClient, bearer: Bearer, kettle: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "CHANGES_PER_MINUTE", Limit("product changes", 2, 60_000, "Too many changes."))
    path, headers = f"/v1/products/{kettle['id']}", bearer("merchant", "teahouse")
    answers = [await api.patch(path, json={"title": f"Kettle {n}"}, headers=headers) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["detail"] == "Too many changes."
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert (await api.get(path)).json()["title"] == "Kettle 1"


async def test_no_more_variants_are_added_than_a_product_may_have(
    api: httpx.AsyncClient, bearer: Bearer, kettle: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "VARIANTS_MAX", 3)
    path, headers = f"/v1/products/{kettle['id']}", bearer("merchant", "teahouse")
    new = [{"sku": f"K-{n}", "title": "N", "list_price": PRICE} for n in range(2)]
    refused = await api.patch(path, json={"new_variants": new}, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "new_variants")
    assert (await api.patch(path, json={"new_variants": new[:1]}, headers=headers)).status_code == 200
