"""A merchant changes a deal while it sells: what shoppers meet right after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from pintuan.base.auth import Role
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.waiting import until

pytestmark = pytest.mark.anyio

Offer = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def offer(api: httpx.AsyncClient, bearer: Bearer) -> Offer:
    """Makes a deal of the merchant `teahouse` over HTTP."""

    async def offer(**changes: Any) -> dict[str, Any]:
        headers = bearer("merchant", "teahouse")
        body = {
            "title": "Kettle",
            "variants": [{"sku": "K", "title": "Red", "list_price": {"amount": 1000, "currency": "USD"}}],
        }
        product = (await api.post("/v1/products", json=body, headers=headers)).json()
        deal = {
            "variant_id": product["variants"][0]["id"],
            "ladder": [{"headcount": 2, "unit_price": 900}],
            "min_headcount": 2,
            "max_headcount": 4,
            "group_ttl_seconds": 3600,
            "stock": 2,
            "per_buyer_units": 5,
            **changes,
        }
        made = await api.post("/v1/deals", json=deal, headers=headers)
        assert made.status_code == 201, made.text
        shown: dict[str, Any] = made.json()
        return shown

    return offer


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_stock_added_to_a_sold_out_deal_is_sold_at_once(
    api: httpx.AsyncClient, offer: Offer, shoppers: Shoppers, bearer: Bearer
) -> None:
    deal = (await offer(stock=2, lanes=2))["id"]
    for buyer in ("ann", "bob"):
        placed(await shoppers.join(deal, buyer))
    refused(await shoppers.join(deal, "cem"), 409, "sold_out")
    changed = await api.patch(f"/v1/deals/{deal}", json={"stock": 3}, headers=bearer("merchant", "teahouse"))
    assert (changed.json()["stock"], changed.json()["sold"]) == (3, 2)
    placed(await shoppers.join(deal, "cem"))
    refused(await shoppers.join(deal, "dan"), 409, "sold_out")
    shown = (await api.get(f"/v1/deals/{deal}")).json()
    assert (shown["stock"], shown["sold"]) == (3, 3)


async def test_a_deal_of_many_lanes_sells_all_it_has(
    api: httpx.AsyncClient, offer: Offer, shoppers: Shoppers
) -> None:
    deal = (await offer(stock=7, lanes=5))["id"]
    for n in range(7):
        placed(await shoppers.join(deal, f"buyer-{n}"))
    refused(await shoppers.join(deal, "too late"), 409, "sold_out")
    assert (await api.get(f"/v1/deals/{deal}")).json()["sold"] == 7


async def test_a_deal_takes_nobody_in_before_it_starts_and_everybody_from_then_on(
    offer: Offer, shoppers: Shoppers, api: httpx.AsyncClient
) -> None:
    deal = await offer(starts_at=in_seconds(1.5))
    assert deal["status"] == "scheduled"
    refused(await shoppers.join(deal["id"], "ann"), 409, "deal_not_active")

    async def has_started() -> bool:
        shown = await api.get(f"/v1/deals/{deal['id']}")
        return bool(shown.json()["status"] == "active")

    await until(has_started)
    placed(await shoppers.join(deal["id"], "ann"))


async def test_a_group_ends_with_its_deal_and_a_later_end_moves_only_groups_to_come(
    api: httpx.AsyncClient, offer: Offer, shoppers: Shoppers, bearer: Bearer
) -> None:
    deal = await offer(stock=10, ends_at=in_seconds(60))
    first = placed(await shoppers.open(deal["id"], "ann"))["group"]
    assert moment(first["deadline"]) == moment(deal["ends_at"])

    open_ended = await api.patch(
        f"/v1/deals/{deal['id']}", json={"ends_at": None}, headers=bearer("merchant", "teahouse")
    )
    assert open_ended.json()["ends_at"] is None
    second = placed(await shoppers.open(deal["id"], "bob"))["group"]
    assert moment(second["deadline"]) > moment(deal["ends_at"])
    kept = (await api.get(f"/v1/groups/{first['id']}")).json()
    assert kept["deadline"] == first["deadline"]


async def test_an_end_brought_forward_takes_nobody_in_after_it(
    api: httpx.AsyncClient, offer: Offer, shoppers: Shoppers, bearer: Bearer
) -> None:
    deal = (await offer(stock=10))["id"]
    placed(await shoppers.join(deal, "ann"))
    soon = {"ends_at": in_seconds(1.0)}
    assert (
        await api.patch(f"/v1/deals/{deal}", json=soon, headers=bearer("merchant", "teahouse"))
    ).status_code == 200

    async def has_ended() -> bool:
        return bool((await api.get(f"/v1/deals/{deal}")).json()["status"] == "ended")

    await until(has_ended)
    refused(await shoppers.open(deal, "bob"), 409, "deal_not_active")
    refused(await shoppers.buy(deal, "bob"), 409, "deal_not_active")


@pytest.mark.parametrize(("role", "caller"), [("merchant", "teahouse"), ("admin", "root")])
async def test_a_deal_is_paused_resumed_changed_and_ended_by_its_merchant_or_an_admin(
    api: httpx.AsyncClient, offer: Offer, shoppers: Shoppers, bearer: Bearer, role: Role, caller: str
) -> None:
    deal = (await offer(stock=10))["id"]
    headers = bearer(role, caller)
    placed(await shoppers.join(deal, "ann"))
    await api.post(f"/v1/deals/{deal}/pause", headers=headers)
    refused(await shoppers.join(deal, "bob"), 409, "deal_not_active")
    await api.post(f"/v1/deals/{deal}/resume", headers=headers)
    group = placed(await shoppers.join(deal, "bob"))["group_id"]
    changed = await api.patch(f"/v1/deals/{deal}", json={"title": "Big kettle"}, headers=headers)
    assert (changed.json()["title"], changed.json()["merchant_id"]) == ("Big kettle", "teahouse")
    await api.post(f"/v1/deals/{deal}/end", headers=headers)
    refused(await shoppers.open(deal, "cem"), 409, "deal_not_active")
    placed(await shoppers.join_group(group, "cem"))
