"""An order that names the offer its buyer was shown is for that offer, or is not placed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused

pytestmark = pytest.mark.anyio

MERCHANT = "acme"
NEW_DEAL: dict[str, Any] = {
    "title": "Phone, spring sale",
    "ladder": [{"headcount": 2, "unit_price": 90_000}],
    "min_headcount": 2,
    "max_headcount": 9,
    "group_ttl_seconds": 600,
    "stock": 100,
    "per_buyer_units": 10,
}


@pytest.fixture
async def product(api: httpx.AsyncClient, bearer: Bearer) -> dict[str, Any]:
    variant = {"sku": "P-1", "title": "512 GB", "list_price": {"amount": 99_900, "currency": "USD"}}
    answer = await api.post(
        "/v1/products",
        json={"title": "Phone 17", "variants": [variant]},
        headers=bearer("merchant", MERCHANT),
    )
    made: dict[str, Any] = answer.json()
    return made


@pytest.fixture
async def deal(api: httpx.AsyncClient, bearer: Bearer, product: dict[str, Any]) -> dict[str, Any]:
    body = NEW_DEAL | {"variant_id": product["variants"][0]["id"]}
    answer = await api.post("/v1/deals", json=body, headers=bearer("merchant", MERCHANT))
    made: dict[str, Any] = answer.json()
    return made


async def rename(api: httpx.AsyncClient, bearer: Bearer, product: dict[str, Any], title: str) -> None:
    answer = await api.patch(
        f"/v1/products/{product['id']}", json={"title": title}, headers=bearer("merchant", MERCHANT)
    )
    assert answer.status_code == 200, answer.text


async def test_an_order_for_goods_that_were_renamed_since_is_refused_and_takes_no_seat(
    api: httpx.AsyncClient,
    bearer: Bearer,
    shoppers: Shoppers,
    product: dict[str, Any],
    deal: dict[str, Any],
) -> None:
    shown = deal["offer_id"]
    group = placed(await shoppers.open(deal["id"], "ann", offer_id=shown))["group_id"]
    await rename(api, bearer, product, "Sticker")

    refused(await shoppers.join(deal["id"], "bob", offer_id=shown), 409, "offer_changed")
    refused(await shoppers.open(deal["id"], "bob", offer_id=shown), 409, "offer_changed")
    refused(await shoppers.buy(deal["id"], "bob", offer_id=shown), 409, "offer_changed")
    refused(await shoppers.join_group(group, "bob", offer_id=shown), 409, "offer_changed")

    now = (await api.get(f"/v1/deals/{deal['id']}")).json()
    assert (now["sold"], now["offer_id"] == shown) == (1, False)
    placed(await shoppers.join_group(group, "bob", offer_id=now["offer_id"]))
    placed(await shoppers.join_group(group, "cat"))


async def test_an_offer_that_is_back_has_its_name_again_in_lists_too(
    api: httpx.AsyncClient,
    bearer: Bearer,
    shoppers: Shoppers,
    product: dict[str, Any],
    deal: dict[str, Any],
) -> None:
    await rename(api, bearer, product, "Sticker")
    await rename(api, bearer, product, "Phone 17")

    (listed,) = (await api.get("/v1/deals")).json()["items"]
    assert listed["offer_id"] == deal["offer_id"]
    placed(await shoppers.join(deal["id"], "ann", offer_id=deal["offer_id"]))


async def test_a_repeated_call_answers_its_order_although_the_offer_has_changed(
    api: httpx.AsyncClient,
    bearer: Bearer,
    shoppers: Shoppers,
    product: dict[str, Any],
    deal: dict[str, Any],
) -> None:
    order = placed(await shoppers.join(deal["id"], "ann", key="once", offer_id=deal["offer_id"]))
    await rename(api, bearer, product, "Sticker")

    again = await shoppers.join(deal["id"], "ann", key="once", offer_id=deal["offer_id"])
    assert (again.status_code, again.json()["id"]) == (200, order["id"])
    assert again.json()["offer"]["product_title"] == "Phone 17"
    refused(await shoppers.join(deal["id"], "ann", key="once"), 422, "idempotency_key_reused")


async def test_a_deal_that_is_not_there_is_not_found_whatever_offer_is_named(shoppers: Shoppers) -> None:
    refused(await shoppers.join("deal_none", "ann", offer_id="any"), 404, "not_found")
    refused(await shoppers.join_group("grp_none", "ann", offer_id="any"), 404, "not_found")
