"""Finding products: by words in any script, by filters, and page by page while others arrive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.acceptance.shoppers import Bearer

pytestmark = pytest.mark.anyio

Add = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def add(api: httpx.AsyncClient, bearer: Bearer) -> Add:
    """Adds a product of one variant."""

    async def add(
        title: str,
        *,
        merchant: str = "teahouse",
        price: tuple[int, str] = (1000, "USD"),
        sku: str = "X",
        description: str = "",
        **attributes: str,
    ) -> dict[str, Any]:
        body = {
            "title": title,
            "description": description,
            "variants": [
                {
                    "sku": sku,
                    "title": "One",
                    "list_price": {"amount": price[0], "currency": price[1]},
                    "attributes": attributes,
                }
            ],
        }
        created = await api.post("/v1/products", json=body, headers=bearer("merchant", merchant))
        assert created.status_code == 201, created.text
        product: dict[str, Any] = created.json()
        return product

    return add


@pytest.fixture
def titles(api: httpx.AsyncClient) -> Callable[..., Awaitable[list[str]]]:
    """The titles on the first page of a list."""

    async def titles(**params: str) -> list[str]:
        response = await api.get("/v1/products", params=params)
        assert response.status_code == 200, response.text
        return [item["title"] for item in response.json()["items"]]

    return titles


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kettle", ["Théière gooseneck kettle"]),
        ("KETT goose", ["Théière gooseneck kettle"]),
        ("theiere", ["Théière gooseneck kettle"]),
        ("kettles", []),
        ("neck", []),
        ("HR-KET", ["Théière gooseneck kettle"]),
        ("harbour", ["Théière gooseneck kettle"]),
        ("steady stream", ["Théière gooseneck kettle"]),
        ("绿茶", ["有机绿茶礼盒"]),
        ("茶", ["有机绿茶礼盒"]),
        ("绿盒", []),
        ("礼盒 有机", ["有机绿茶礼盒"]),
        ("まっちゃ", ["まっちゃ Matcha 0.5"]),
        ("matcha 0.5", ["まっちゃ Matcha 0.5"]),
        ("teaware", ["まっちゃ Matcha 0.5"]),
        ("녹차", ["한국 녹차"]),
        ("&", []),
    ],
)
async def test_products_are_found_by_words_and_their_beginnings(
    add: Add, titles: Callable[..., Awaitable[list[str]]], query: str, found: list[str]
) -> None:
    await add("Théière gooseneck kettle", sku="HR-KETTLE-1", description="A steady stream.", brand="Harbour")
    await add("有机绿茶礼盒")
    await add("まっちゃ Matcha 0.5", tags="teaware, green")
    await add("한국 녹차")
    assert await titles(q=query) == found


@pytest.mark.parametrize(
    "query",
    ["'", "\\", "a:*b & | !( <->", "''''", "%", "🍵", "x" * 200, "<2> & 'a", "-", "ﷺ" * 200, "\u0301"],
)
async def test_nothing_in_a_query_is_an_error(
    add: Add, titles: Callable[..., Awaitable[list[str]]], query: str
) -> None:
    await add("Kettle")
    assert await titles(q=query) == []


async def test_one_letter_is_the_beginning_of_a_word_only_while_it_is_the_last(
    add: Add, titles: Callable[..., Awaitable[list[str]]]
) -> None:
    await add("Green tea")
    await add("Vitamin C tea")
    assert await titles(q="g") == ["Green tea"]
    assert await titles(q="tea g") == ["Green tea"]
    assert await titles(q="g tea") == []
    assert await titles(q="c tea") == ["Vitamin C tea"]
    assert await titles(q="tea tea TEA g g") == ["Green tea"]


@pytest.mark.parametrize("path", ["/v1/products", "/v1/deals"])
async def test_a_query_has_eight_different_words_at_most(api: httpx.AsyncClient, path: str) -> None:
    words = [f"word{number}" for number in range(9)]
    answer = await api.get(path, params={"q": " ".join(words)})
    assert answer.status_code == 400
    assert [(error["field"], error["message"]) for error in answer.json()["errors"]] == [
        ("q", "has more than 8 different words")
    ]
    for query in (" ".join(words[:8] * 2), "a " * 100, "-".join(words[:8])):
        assert (await api.get(path, params={"q": query})).status_code == 200


async def test_a_query_finds_what_a_product_says_now(
    api: httpx.AsyncClient, add: Add, titles: Callable[..., Awaitable[list[str]]], bearer: Bearer
) -> None:
    product = await add("Kettle")
    changed = await api.patch(
        f"/v1/products/{product['id']}", json={"title": "Teapot"}, headers=bearer("merchant", "teahouse")
    )
    assert changed.status_code == 200, changed.text
    assert await titles(q="kettle") == []
    assert await titles(q="teapot") == ["Teapot"]


async def test_products_are_filtered_by_merchant_currency_and_price(
    add: Add, titles: Callable[..., Awaitable[list[str]]]
) -> None:
    await add("Cheap", price=(500, "USD"))
    await add("Dear", price=(2000, "USD"))
    await add("Yen", price=(1500, "JPY"), merchant="kobo")
    assert await titles(merchant_id="kobo") == ["Yen"]
    assert await titles(currency="USD") == ["Dear", "Cheap"]
    assert await titles(currency="USD", price_min="500", price_max="1999") == ["Cheap"]
    assert await titles(price_min="1500") == ["Yen", "Dear"]
    assert await titles(currency="USD", price_min="501", price_max="1999") == []
    assert await titles(q="dear", price_max="1000") == []


async def test_products_are_filtered_by_whether_they_are_on_a_deal(
    api: httpx.AsyncClient, add: Add, titles: Callable[..., Awaitable[list[str]]], bearer: Bearer
) -> None:
    offered, _ = await add("Offered"), await add("Alone")
    deal = {
        "variant_id": offered["variants"][0]["id"],
        "ladder": [{"headcount": 2, "unit_price": 900}],
        "min_headcount": 2,
        "max_headcount": 5,
        "group_ttl_seconds": 60,
        "stock": 5,
        "per_buyer_units": 1,
    }
    made = await api.post("/v1/deals", json=deal, headers=bearer("merchant", "teahouse"))
    assert await titles(on_deal="true") == ["Offered"]
    assert await titles(on_deal="false") == ["Alone"]
    await api.post(f"/v1/deals/{made.json()['id']}/pause", headers=bearer("merchant", "teahouse"))
    assert await titles(on_deal="true") == []
    assert await titles(on_deal="false") == ["Alone", "Offered"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"q": "x" * 201}, "q"),
        ({"q": "a\0b"}, "q"),
        ({"merchant_id": "\0"}, "merchant_id"),
        ({"currency": "usd"}, "currency"),
        ({"price_min": "-1"}, "price_min"),
        ({"price_max": "dear"}, "price_max"),
        ({"price_max": str(2**70)}, "price_max"),
        ({"on_deal": "maybe"}, "on_deal"),
        ({"cursor": "W10"}, "cursor"),
    ],
)
async def test_a_filter_that_does_not_fit_is_refused_by_name(
    api: httpx.AsyncClient, params: dict[str, str], field: str
) -> None:
    response = await api.get("/v1/products", params=params)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_a_page_misses_and_repeats_nothing_while_products_arrive(
    api: httpx.AsyncClient, add: Add
) -> None:
    made = [(await add(f"Tea {n}"))["id"] for n in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "2", "q": "tea"} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/v1/products", params=params)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await add("Tea that came later")
    assert seen == made[::-1]


async def test_a_cursor_of_other_filters_is_refused(api: httpx.AsyncClient, add: Add) -> None:
    for n in range(3):
        await add(f"Tea {n}")
    cursor = (await api.get("/v1/products", params={"limit": "1", "q": "tea"})).json()["next_cursor"]
    for other in ({"q": "te"}, {}, {"q": "tea", "on_deal": "false"}):
        response = await api.get("/v1/products", params={"limit": "1", "cursor": cursor, **other})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "cursor")
    same = await api.get("/v1/products", params={"limit": "2", "q": "tea", "cursor": cursor})
    assert same.status_code == 200


async def test_lists_and_products_that_have_not_changed_are_not_sent_again(
    api: httpx.AsyncClient, add: Add
) -> None:
    product = await add("Kettle")
    for path in ("/v1/products", f"/v1/products/{product['id']}"):
        tag = (await api.get(path)).headers["etag"]
        again = await api.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
    tag = (await api.get("/v1/products")).headers["etag"]
    await add("Cup")
    assert (await api.get("/v1/products", headers={"If-None-Match": tag})).status_code == 200
