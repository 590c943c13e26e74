"""How many lanes a merchant may have at once, over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pintuan.base.limits import Limit
from pintuan.shop.deals import room
from tests.acceptance.conftest import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from pintuan.base.settings.settings import Settings
    from tests.acceptance.contract.documented import Contract
    from tests.acceptance.shoppers import Bearer

pytestmark = pytest.mark.anyio

LANES_MAX = 5


@pytest.fixture
async def shop(settings: Settings, contract: Contract) -> AsyncIterator[httpx.AsyncClient]:
    """An API on which a merchant may have few lanes."""
    settings = msgspec.structs.replace(settings, lanes_per_merchant=LANES_MAX)
    async with serving(settings, contract) as client:
        yield client


class Seller:
    """A merchant with one variant."""

    def __init__(self, api: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self._api = api
        self._headers = headers

    async def offer(self, *, lanes: int = 1, **changes: Any) -> httpx.Response:
        price = {"amount": 1000, "currency": "USD"}
        product = {"title": "Tea", "variants": [{"sku": "T", "title": "Green", "list_price": price}]}
        made = await self._api.post("/v1/products", json=product, headers=self._headers)
        body = {
            "variant_id": made.json()["variants"][0]["id"],
            "ladder": [{"headcount": 2, "unit_price": 900}],
            "min_headcount": 2,
            "max_headcount": 10,
            "group_ttl_seconds": 3600,
            "stock": 100,
            "per_buyer_units": 5,
            "lanes": lanes,
            **changes,
        }
        return await self._api.post("/v1/deals", json=body, headers=self._headers)

    async def end(self, deal_id: str) -> None:
        ended = await self._api.post(f"/v1/deals/{deal_id}/end", headers=self._headers)
        assert ended.status_code == 200


async def test_lanes_that_are_not_over_are_bounded_and_the_refusal_counts_them(
    shop: httpx.AsyncClient, bearer: Bearer
) -> None:
    seller = Seller(shop, bearer("merchant", "acme"))
    first = await seller.offer(lanes=4)
    refused = await seller.offer(lanes=2)
    assert (refused.status_code, refused.json()["code"]) == (409, "limit_reached")
    assert "5 lanes in all, and have 4" in refused.json()["detail"]
    assert (await seller.offer(lanes=1)).status_code == 201

    await shop.post(f"/v1/deals/{first.json()['id']}/pause", headers=bearer("merchant", "acme"))
    assert (await seller.offer()).status_code == 409, "a paused deal may go on at any time"
    await seller.end(first.json()["id"])
    assert (await seller.offer(lanes=4)).status_code == 201
    assert (await Seller(shop, bearer("merchant", "another")).offer(lanes=5)).status_code == 201


async def test_deals_made_at_once_do_not_pass_the_bound_together(
    shop: httpx.AsyncClient, bearer: Bearer
) -> None:
    seller = Seller(shop, bearer("merchant", "acme"))
    answers = await asyncio.gather(*(seller.offer() for _ in range(LANES_MAX + 2)))
    assert sorted(answer.status_code for answer in answers) == [201] * LANES_MAX + [409] * 2


async def test_a_merchant_makes_so_many_deals_a_minute(
    shop: httpx.AsyncClient, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "DEALS_PER_MINUTE", Limit("deals of merchant", 2, 60_000, "Too many deals."))
    seller = Seller(shop, bearer("merchant", "acme"))
    answers = [await seller.offer() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert answers[-1].json()["detail"] == "Too many deals."
    assert int(answers[-1].headers["Retry-After"]) > 0


async def test_lanes_of_an_ended_deal_count_while_they_have_an_open_group(
    shop: httpx.AsyncClient, bearer: Bearer
) -> None:
    seller, merchant = Seller(shop, bearer("merchant", "acme")), bearer("merchant", "acme")
    for taken in range(LANES_MAX):
        offered = await seller.offer(lanes=LANES_MAX - taken)
        assert offered.status_code == 201, "of a deal that ended, the other lanes are free again"
        deal = offered.json()["id"]
        opened = await shop.post(
            f"/v1/deals/{deal}/groups",
            json={"quantity": 1, "payment_method": "pm_ok"},
            headers=bearer("buyer", "ann") | {"Idempotency-Key": deal},
        )
        assert opened.is_success
        await shop.post(f"/v1/deals/{deal}/pause", headers=merchant)
        await seller.end(deal)
    refused = await seller.offer()
    assert (refused.status_code, refused.json()["code"]) == (409, "limit_reached")
    assert "5 lanes in all, and have 5" in refused.json()["detail"]


async def test_a_merchant_changes_so_many_deals_a_minute_and_may_always_end_them(
    shop: httpx.AsyncClient, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CHANGES_PER_MINUTE", Limit("deal changes", 2, 60_000, "Too many changes."))
    seller, merchant = Seller(shop, bearer("merchant", "acme")), bearer("merchant", "acme")
    deal = (await seller.offer()).json()["id"]
    answers = [
        await shop.patch(f"/v1/deals/{deal}", json={"title": f"Tea {n}"}, headers=merchant) for n in range(3)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["detail"] == "Too many changes."
    paused = await shop.post(f"/v1/deals/{deal}/pause", headers=merchant)
    assert paused.status_code == 200
    await seller.end(deal)
