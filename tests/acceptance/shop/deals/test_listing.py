"""Finding deals: filters, orders, and pages that stay right while deals are made and change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from tests.acceptance.shoppers import Bearer

pytestmark = pytest.mark.anyio

Offer = Callable[..., Awaitable[dict[str, Any]]]
Titles = Callable[..., Awaitable[list[str]]]


@pytest.fixture
def offer(api: httpx.AsyncClient, bearer: Bearer) -> Offer:
    """Makes a deal on a product of its own. `price` is the lowest; the first buyer is promised 50 more."""

    async def offer(
        title: str,
        *,
        merchant: str = "teahouse",
        list_price: int = 1000,
        price: int = 800,
        currency: str = "USD",
        product: str = "Kettle",
        **changes: Any,
    ) -> dict[str, Any]:
        headers = bearer("merchant", merchant)
        body = {
            "title": product,
            "images": ["https://img.example/kettle.jpg"],
            "variants": [
                {
                    "sku": "K-1",
                    "title": "Red",
                    "list_price": {"amount": list_price, "currency": currency},
                    "options": {"Color": "Red"},
                }
            ],
        }
        variant = (await api.post("/v1/products", json=body, headers=headers)).json()["variants"][0]
        deal = {
            "variant_id": variant["id"],
            "title": title,
            "ladder": [{"headcount": 2, "unit_price": price + 50}, {"headcount": 5, "unit_price": price}],
            "min_headcount": 2,
            "max_headcount": 10,
            "group_ttl_seconds": 60,
            "stock": 5,
            "per_buyer_units": 1,
            **changes,
        }
        made = await api.post("/v1/deals", json=deal, headers=headers)
        assert made.status_code == 201, made.text
        shown: dict[str, Any] = made.json()
        return shown

    return offer


@pytest.fixture
def titles(api: httpx.AsyncClient) -> Titles:
    """The titles on the first page of a list."""

    async def titles(**params: str) -> list[str]:
        response = await api.get("/v1/deals", params=params)
        assert response.status_code == 200, response.text
        return [item["title"] for item in response.json()["items"]]

    return titles


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


async def test_a_deal_shows_its_product_and_prices_without_a_second_call(
    api: httpx.AsyncClient, offer: Offer
) -> None:
    await offer("Offer", price=700)
    (deal,) = (await api.get("/v1/deals")).json()["items"]
    assert deal["product"] == {"title": "Kettle", "images": ["https://img.example/kettle.jpg"]}
    assert deal["variant"] == {"sku": "K-1", "title": "Red", "options": {"Color": "Red"}, "images": []}
    assert deal["starting_price"] == {"amount": 750, "currency": "USD"}
    assert deal["lowest_price"] == {"amount": 700, "currency": "USD"}


async def test_deals_are_filtered(offer: Offer, titles: Titles) -> None:
    cheap = await offer("Cheap", price=500)
    dear = await offer("Dear", price=900)
    await offer("Yen", price=600, currency="JPY", merchant="kobo", product="急須")
    assert await titles(merchant_id="kobo") == ["Yen"]
    assert await titles(product_id=cheap["product_id"]) == ["Cheap"]
    assert await titles(variant_id=dear["variant_id"]) == ["Dear"]
    assert await titles(currency="USD") == ["Dear", "Cheap"]
    assert await titles(price_max="600") == ["Yen", "Cheap"]
    assert await titles(price_max="600", currency="USD") == ["Cheap"]
    assert await titles(q="kett") == ["Dear", "Cheap"]
    assert await titles(q="dea") == ["Dear"]
    assert await titles(q="急須") == ["Yen"]
    assert await titles(q="') | :*") == []
    assert await titles(q="kettle", merchant_id="kobo") == []


async def test_deals_are_filtered_by_what_their_status_is_now(
    api: httpx.AsyncClient, offer: Offer, titles: Titles, bearer: Bearer, pool: asyncpg.Pool
) -> None:
    await offer("Active")
    await offer("Scheduled", starts_at=in_hours(1), ends_at=in_hours(2))
    over = await offer("Over", ends_at=in_hours(1))
    await pool.execute(
        "UPDATE deals SET starts_at = '2001-01-01', ends_at = app_now() WHERE id = $1", over["id"]
    )
    for title, call in (("Paused", "pause"), ("Ended", "end")):
        deal = await offer(title)
        await api.post(f"/v1/deals/{deal['id']}/{call}", headers=bearer("merchant", "teahouse"))
    assert await titles(status="active") == ["Active"]
    assert await titles(status="scheduled") == ["Scheduled"]
    assert await titles(status="paused") == ["Paused"]
    assert await titles(status="ended") == ["Ended", "Over"]
    assert await titles(sort="ending_soon") == ["Scheduled", "Active", "Paused"]


async def test_deals_are_sorted(offer: Offer, titles: Titles) -> None:
    await offer("A tenth off", price=900, ends_at=in_hours(3))
    await offer("Half off", price=5000, list_price=10_000)
    await offer("A third off", price=600, list_price=900, ends_at=in_hours(1))
    assert await titles() == ["A third off", "Half off", "A tenth off"]
    assert await titles(sort="newest") == await titles()
    assert await titles(sort="ending_soon") == ["A third off", "A tenth off", "Half off"]
    assert await titles(sort="lowest_price") == ["A third off", "A tenth off", "Half off"]
    assert await titles(sort="biggest_discount") == ["Half off", "A third off", "A tenth off"]
    assert await titles(sort="lowest_price", q="off", price_max="900") == ["A third off", "A tenth off"]


@pytest.mark.parametrize("sort", ["newest", "ending_soon", "lowest_price", "biggest_discount"])
async def test_pages_miss_and_repeat_nothing_while_deals_are_made_and_change(
    api: httpx.AsyncClient, offer: Offer, bearer: Bearer, sort: str
) -> None:
    made = [await offer(f"Deal {n}", price=800 - n // 2, ends_at=in_hours(5 + n // 2)) for n in range(7)]
    whole = (await api.get("/v1/deals", params={"sort": sort})).json()["items"]
    seen: list[str] = []
    cursor: str | None = None
    headers = bearer("merchant", "teahouse")
    for page_no in range(10):
        params = {"limit": "2", "sort": sort} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/v1/deals", params=params)).json()
        seen += [deal["id"] for deal in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await offer(f"Later {page_no}", price=801, ends_at=in_hours(1))
        await api.patch(f"/v1/deals/{made[page_no]['id']}", json={"title": "Renamed"}, headers=headers)
    old = [deal for deal in seen if deal in {deal["id"] for deal in made}]
    assert old == [deal["id"] for deal in whole]
    assert len(seen) == len(set(seen))


async def test_a_cursor_of_another_order_or_other_filters_is_refused(
    api: httpx.AsyncClient, offer: Offer
) -> None:
    for n in range(3):
        await offer(f"Deal {n}")
    asked = {"limit": "1", "sort": "lowest_price", "status": "active"}
    cursor = (await api.get("/v1/deals", params=asked)).json()["next_cursor"]
    assert (await api.get("/v1/deals", params=asked | {"cursor": cursor})).status_code == 200
    for other in ({"sort": "newest"}, {"status": "paused"}, {"q": "deal"}):
        refused = await api.get("/v1/deals", params=asked | {"cursor": cursor} | other)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
        assert refused.json()["errors"] == [
            {"field": "cursor", "message": "comes from a list with other filters or another order"}
        ]
    products = await api.get("/v1/products", params={"cursor": cursor})
    assert products.status_code == 400


@pytest.mark.parametrize(
    "params",
    [{"sort": "best"}, {"q": "x" * 201}, {"variant_id": "\0"}, {"currency": "EURO"}, {"price_max": "-1"}],
)
async def test_a_filter_that_does_not_fit_is_refused_by_name(
    api: httpx.AsyncClient, params: dict[str, str]
) -> None:
    response = await api.get("/v1/deals", params=params)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert [error["field"] for error in response.json()["errors"]] == list(params)


async def test_a_list_that_has_not_changed_is_not_sent_again(api: httpx.AsyncClient, offer: Offer) -> None:
    await offer("Deal")
    tag = (await api.get("/v1/deals")).headers["etag"]
    again = await api.get("/v1/deals", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    await offer("Another")
    assert (await api.get("/v1/deals", headers={"If-None-Match": tag})).status_code == 200
