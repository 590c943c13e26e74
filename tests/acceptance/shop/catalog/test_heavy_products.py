"""A product is bounded as a whole, and a list shows no more of it than a list needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import httpx
import msgspec
import pytest

from pintuan.http.pagination import PAGE_BYTES_MAX
from pintuan.shop.catalog.limits import LISTED_IMAGES, PRODUCT_BYTES_MAX, VARIANT_IMAGES_MAX
from tests.acceptance.shoppers import Bearer

pytestmark = pytest.mark.anyio

PRICE: Final = {"amount": 1999, "currency": "USD"}
PICTURES: Final = [f"https://img.example/{n:02}/{'y' * 1900}" for n in range(25)]
TOO_LARGE: Final = f"makes the product, with its variants, larger than {PRODUCT_BYTES_MAX} bytes"


def variant(sku: str, **changes: Any) -> dict[str, Any]:
    return {"sku": sku, "title": sku, "list_price": PRICE, **changes}


async def add(
    api: httpx.AsyncClient, bearer: Bearer, *variants: dict[str, Any], **changes: Any
) -> dict[str, Any]:
    body = {"title": "Kettle", "variants": variants or [variant("K")], **changes}
    made = await api.post("/v1/products", json=body, headers=bearer("merchant", "teahouse"))
    assert made.status_code == 201, made.text
    product: dict[str, Any] = made.json()
    return product


async def grow(
    api: httpx.AsyncClient, bearer: Bearer, product: dict[str, Any], times: int
) -> list[httpx.Response]:
    """Adds variants of fifty kilobytes each, and answers what came of it."""
    return [
        await api.patch(
            f"/v1/products/{product['id']}",
            json={"new_variants": [variant(f"H-{n}", images=PICTURES)]},
            headers=bearer("merchant", "teahouse"),
        )
        for n in range(times)
    ]


async def stored_with(pool: asyncpg.Pool, product: dict[str, Any], pictures: Sequence[str]) -> None:
    """Keeps more pictures of a product and its variants than it could be given today."""
    images = msgspec.json.encode(pictures).decode()
    await pool.execute("UPDATE products SET images = $2 WHERE id = $1", product["id"], images)
    await pool.execute("UPDATE variants SET images = $2 WHERE product_id = $1", product["id"], images)


async def test_a_product_grows_to_its_bound_and_not_beyond(api: httpx.AsyncClient, bearer: Bearer) -> None:
    product = await add(api, bearer)

    answers = await grow(api, bearer, product, 7)

    assert [answer.status_code for answer in answers] == [200] * 5 + [400] * 2
    assert answers[-1].json()["errors"] == [{"field": "new_variants", "message": TOO_LARGE}]
    shown = await api.get(f"/v1/products/{product['id']}")
    assert shown.json() == answers[4].json()
    assert len(shown.content) <= PRODUCT_BYTES_MAX
    # What does not make it larger is still taken, and so is another field to blame.
    changed = await api.patch(
        f"/v1/products/{product['id']}", json={"title": "Pot"}, headers=bearer("merchant", "teahouse")
    )
    assert changed.status_code == 200, changed.text
    worse = await api.patch(
        f"/v1/products/{product['id']}",
        json={"title": "Pan", "images": PICTURES},
        headers=bearer("merchant", "teahouse"),
    )
    assert worse.json()["errors"] == [{"field": "images", "message": TOO_LARGE}]


async def test_a_product_of_before_the_bound_is_shown_and_may_be_made_smaller(
    api: httpx.AsyncClient, bearer: Bearer, pool: asyncpg.Pool
) -> None:
    product = await add(api, bearer)
    await stored_with(pool, product, PICTURES * 8)
    path, headers = f"/v1/products/{product['id']}", bearer("merchant", "teahouse")

    assert (await api.get(path)).json()["images"] == PICTURES * 8
    assert (await api.patch(path, json={"title": "Pot"}, headers=headers)).status_code == 200
    larger = await api.patch(path, json={"description": "Boils"}, headers=headers)
    assert larger.json()["errors"] == [{"field": "description", "message": TOO_LARGE}]
    smaller = await api.patch(path, json={"images": PICTURES}, headers=headers)
    assert (smaller.status_code, smaller.json()["images"]) == (200, PICTURES)


async def test_a_variant_has_only_so_many_pictures(api: httpx.AsyncClient, bearer: Bearer) -> None:
    pictures = [f"https://img.example/{n}.jpg" for n in range(VARIANT_IMAGES_MAX + 1)]
    body = {"title": "Kettle", "variants": [variant("K", images=pictures)]}
    refused = await api.post("/v1/products", json=body, headers=bearer("merchant", "teahouse"))
    assert [error["field"] for error in refused.json()["errors"]] == ["variants[0].images"]


async def test_lists_show_the_first_pictures_and_the_thing_itself_all_of_them(
    api: httpx.AsyncClient, bearer: Bearer
) -> None:
    product = await add(api, bearer, variant("K", images=PICTURES[10:20]), images=PICTURES[:10])
    offer = {
        "variant_id": product["variants"][0]["id"],
        "ladder": [{"headcount": 2, "unit_price": 900}],
        "min_headcount": 2,
        "max_headcount": 5,
        "group_ttl_seconds": 60,
        "stock": 5,
        "per_buyer_units": 1,
    }
    deal = (await api.post("/v1/deals", json=offer, headers=bearer("merchant", "teahouse"))).json()
    first, own = PICTURES[:LISTED_IMAGES], PICTURES[10 : 10 + LISTED_IMAGES]

    [listed] = (await api.get("/v1/products")).json()["items"]
    assert listed == product | {"images": first, "variants": [product["variants"][0] | {"images": own}]}
    assert (await api.get(f"/v1/products/{product['id']}")).json() == product
    [offered] = (await api.get("/v1/deals")).json()["items"]
    assert offered == deal | {
        "product": deal["product"] | {"images": first},
        "variant": deal["variant"] | {"images": own},
    }
    assert (await api.get(f"/v1/deals/{deal['id']}")).json() == deal
    assert (deal["product"]["images"], deal["variant"]["images"]) == (PICTURES[:10], PICTURES[10:20])


async def test_pages_of_heavy_products_end_early_and_are_the_whole_list(
    api: httpx.AsyncClient, bearer: Bearer, pool: asyncpg.Pool
) -> None:
    brand = {f"a{n}": "z" * 2000 for n in range(25)}
    made = [await add(api, bearer, variant("K", attributes=brand)) for _ in range(30)]
    # One of before the bound, which is longer than a page.
    await pool.execute(
        "UPDATE variants SET attributes = $2 WHERE product_id = $1",
        made[24]["id"],
        msgspec.json.encode({f"a{n}": "z" * 2000 for n in range(600)}).decode(),
    )

    found: list[str] = []
    sizes: list[int] = []
    cursor: dict[str, str] = {}
    for _ in range(len(made)):
        page = await api.get("/v1/products", params={"limit": "100", **cursor})
        items = page.json()["items"]
        found += [product["id"] for product in items]
        sizes.append(len(page.content) - len(httpx.Response(200, json=items[-1]).content))
        if page.json()["next_cursor"] is None:
            break
        cursor = {"cursor": page.json()["next_cursor"]}

    assert found == [product["id"] for product in reversed(made)]
    assert len(sizes) == 3
    assert max(sizes) < PAGE_BYTES_MAX + 1000
