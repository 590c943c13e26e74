"""A merchant's products, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pintuan.shop.catalog.limits import REQUEST_VARIANTS_MAX
from tests.acceptance.shoppers import Bearer

pytestmark = pytest.mark.anyio


def kettle(**changes: Any) -> dict[str, Any]:
    return {
        "title": "Kettle",
        "description": "Boils water",
        "images": ["https://img.example/kettle.jpg"],
        "variants": [
            {"sku": "K-RED", "title": "Red", "list_price": {"amount": 1999, "currency": "USD"}},
            {"sku": "K-BLUE", "title": "Blue", "list_price": {"amount": 2500, "currency": "JPY"}},
        ],
        **changes,
    }


def variant(**changes: Any) -> dict[str, Any]:
    return {"sku": "K", "title": "Red", "list_price": {"amount": 1999, "currency": "USD"}, **changes}


async def test_a_product_is_added_and_shown_to_everybody(api: httpx.AsyncClient, bearer: Bearer) -> None:
    created = await api.post("/v1/products", json=kettle(), headers=bearer("merchant", "teahouse"))
    assert created.status_code == 201
    product = created.json()
    assert product["merchant_id"] == "teahouse"
    assert [entry["sku"] for entry in product["variants"]] == ["K-RED", "K-BLUE"]
    assert product["variants"][1]["list_price"] == {"amount": 2500, "currency": "JPY"}
    assert product["created_at"].endswith("Z")

    shown = await api.get(f"/v1/products/{product['id']}")
    assert shown.status_code == 200
    assert shown.json() == product


async def test_description_and_images_may_be_left_out(api: httpx.AsyncClient, bearer: Bearer) -> None:
    body = {"title": "Kettle", "variants": [variant()]}
    created = await api.post("/v1/products", json=body, headers=bearer("merchant", "teahouse"))
    assert created.status_code == 201
    assert (created.json()["description"], created.json()["images"]) == ("", [])


async def test_products_are_listed_newest_first_page_by_page(api: httpx.AsyncClient, bearer: Bearer) -> None:
    made = []
    for n in range(5):
        body = kettle(title=f"Kettle {n}")
        created = await api.post("/v1/products", json=body, headers=bearer("merchant", "teahouse"))
        made.append(created.json())

    seen: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(3):
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/v1/products", params=params)).json()
        seen += page["items"]
        cursor = page["next_cursor"]
    assert cursor is None
    assert seen == made[::-1]


async def test_only_merchants_add_products(api: httpx.AsyncClient, bearer: Bearer) -> None:
    anonymous = await api.post("/v1/products", json=kettle())
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "unauthenticated")
    buyer = await api.post("/v1/products", json=kettle(), headers=bearer("buyer", "ann"))
    assert (buyer.status_code, buyer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("product_id", ["prd_0", "x" * 500, "a b"])
async def test_a_product_that_is_not_there_is_not_found(api: httpx.AsyncClient, product_id: str) -> None:
    response = await api.get(f"/v1/products/{product_id}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "   "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"title": "trailing\n"}, "title"),
        ({"title": "nul\0"}, "title"),
        ({"title": 7}, "title"),
        ({"description": "x" * 10_001}, "description"),
        ({"description": "nul\0"}, "description"),
        ({"images": ["ftp://img.example/1.jpg"]}, "images[0]"),
        ({"images": ["javascript:alert(1)"]}, "images[0]"),
        ({"images": ["https://img.example/1.jpg\n"]}, "images[0]"),
        ({"images": ["https://img.example/1.jpg"] * 251}, "images"),
        ({"variants": []}, "variants"),
        ({"variants": [variant(sku=f"K{n}") for n in range(REQUEST_VARIANTS_MAX + 1)]}, "variants"),
        ({"variants": [variant(sku="")]}, "variants[0].sku"),
        ({"variants": [variant(sku="x" * 101)]}, "variants[0].sku"),
        (
            {"variants": [variant(list_price={"amount": 0, "currency": "USD"})]},
            "variants[0].list_price.amount",
        ),
        (
            {"variants": [variant(list_price={"amount": 1.5, "currency": "USD"})]},
            "variants[0].list_price.amount",
        ),
        (
            {"variants": [variant(list_price={"amount": 1, "currency": "usd"})]},
            "variants[0].list_price.currency",
        ),
        (
            {"variants": [variant(list_price={"amount": 1, "currency": "QQQ"})]},
            "variants[0].list_price.currency",
        ),
        ({"variants": [variant(colour="red")]}, "variants[0].colour"),
        ({"variants": [variant(options={"Color": ""})]}, "variants[0].options"),
        ({"variants": [variant(options={f"o{n}": "x" for n in range(5)})]}, "variants[0].options"),
        ({"variants": [variant(attributes={"x" * 61: "y"})]}, "variants[0].attributes"),
        ({"variants": [variant(images=["1.jpg"])]}, "variants[0].images[0]"),
        ({"price": 5}, "price"),
    ],
)
async def test_a_product_that_does_not_fit_is_refused_by_field(
    api: httpx.AsyncClient, bearer: Bearer, changes: dict[str, Any], field: str
) -> None:
    response = await api.post("/v1/products", json=kettle(**changes), headers=bearer("merchant", "teahouse"))
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert [error["field"].removesuffix("[...]") for error in response.json()["errors"]] == [field]


async def test_a_sku_used_twice_is_refused_with_its_place(api: httpx.AsyncClient, bearer: Bearer) -> None:
    body = kettle(variants=[variant(), variant(sku="L"), variant()])
    response = await api.post("/v1/products", json=body, headers=bearer("merchant", "teahouse"))
    assert response.json()["errors"] == [
        {"field": "variants[2].sku", "message": "is that of variants[0] already"}
    ]


async def test_options_pictures_and_attributes_are_shown_as_they_were_given(
    api: httpx.AsyncClient, bearer: Bearer
) -> None:
    sizes = [("XL", "Red"), ("S", "Red"), ("S", "Blue")]
    body = kettle(
        variants=[
            variant(
                sku=f"K{n}",
                options={"Size": size, "Color": color},
                images=[f"https://img.example/{n}.jpg"],
                attributes={"brand": "Harbour"},
            )
            for n, (size, color) in enumerate(sizes)
        ]
    )
    created = await api.post("/v1/products", json=body, headers=bearer("merchant", "teahouse"))
    assert created.status_code == 201, created.text
    product = created.json()
    assert product["options"] == [
        {"name": "Size", "values": ["XL", "S"]},
        {"name": "Color", "values": ["Red", "Blue"]},
    ]
    for given, shown in zip(body["variants"], product["variants"], strict=True):
        assert {name: shown[name] for name in given} == given
    assert (await api.get(f"/v1/products/{product['id']}")).json() == product


async def test_a_product_without_options_has_none(api: httpx.AsyncClient, bearer: Bearer) -> None:
    created = await api.post("/v1/products", json=kettle(), headers=bearer("merchant", "teahouse"))
    assert created.json()["options"] == []
    assert created.json()["variants"][0]["options"] == {}
