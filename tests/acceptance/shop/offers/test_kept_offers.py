"""An order stays for what its deal offered when it was placed, whatever the merchant changes after it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import httpx
import pytest

from groups.engine import GroupEngine
from pintuan.buying.archive.service import Archivist
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from tests.acceptance.shoppers import Bearer, Shoppers, placed
from tests.market import Market

pytestmark = pytest.mark.anyio

PHONE = {
    "title": "Phone, spring sale",
    "product_title": "Phone 17",
    "variant_title": "512 GB",
    "sku": "P-1",
    "options": {"Size": "512 GB"},
    "brand": "Harbour & Rye",
    "gtin": "4006381333931",
    "description_sha256": sha256(b"New, sealed.").hexdigest(),
    "images_sha256": sha256(b"https://img.example/phone.jpg").hexdigest(),
    "since": None,
}
STICKER = {
    "title": "Sticker, spring sale",
    "product_title": "Sticker",
    "variant_title": "5 cm",
    "sku": "P-1",
    "options": {"Size": "5 cm"},
    "brand": None,
    "gtin": None,
    "description_sha256": sha256(b"It sticks.").hexdigest(),
    "images_sha256": sha256(b"").hexdigest(),
}
PHONE_FEED = (
    "id,title,description,price,image_link,size,brand,gtin\n"
    'P-1,Phone 17,"New, sealed.",999.00 USD,https://img.example/phone.jpg,512 GB,Harbour & Rye,'
    "4006381333931\n"
)
STICKER_FEED = "id,title,description,price,size\nP-1,Sticker,It sticks.,1.00 USD,5 cm\n"
ORDERS_MAX = 100


@dataclass
class Shop:
    """A merchant's calls, and all that anybody can read of an order."""

    api: httpx.AsyncClient
    bearer: Bearer
    market: Market

    async def call(self, method: str, path: str, **given: Any) -> Any:
        """Calls as the merchant and returns the answer's body."""
        headers = self.bearer("merchant", "acme") | given.pop("headers", {})
        answer = await self.api.request(method, path, headers=headers, **given)
        assert answer.is_success, answer.text
        return answer.json()

    async def upload(self, feed: str) -> Any:
        return await self.call(
            "POST", "/v1/merchant/imports", content=feed.encode(), headers={"Content-Type": "text/csv"}
        )

    async def make_deal(self, variant_id: str) -> str:
        body = {
            "variant_id": variant_id,
            "title": PHONE["title"],
            "ladder": [{"headcount": 2, "unit_price": 90}],
            "min_headcount": 2,
            "max_headcount": 2,
            "group_ttl_seconds": 600,
            "stock": 100,
            "per_buyer_units": 10,
        }
        deal: str = (await self.call("POST", "/v1/deals", json=body))["id"]
        return deal

    async def told_of(self, order_id: str, buyer: str) -> dict[str, Any]:
        """The offer of an order in every place that tells of it, by the place."""
        headers = self.bearer("buyer", buyer)
        order = (await self.api.get(f"/v1/orders/{order_id}", headers=headers)).json()
        listed = (await self.api.get("/v1/orders", headers=headers)).json()["items"]
        exported = (await self.api.get("/v1/me/export", headers=headers)).json()["orders"]
        sales = (await self.call("GET", "/v1/merchant/orders"))["items"]
        told = {
            "order": order["offer"],
            "orders": _of(listed, order_id)["offer"],
            "export": _of(exported, order_id)["offer"],
            "sale": (await self.call("GET", f"/v1/merchant/orders/{order_id}"))["offer"],
            "sales": _of(sales, order_id)["offer"],
            "receipt": (await self.receipt(order_id, buyer))["offer"],
        }
        if order["group_id"] is not None:
            group = (await self.api.get(f"/v1/groups/{order['group_id']}", headers=headers)).json()
            told["my_order"] = group["my_order"]["offer"]
        return told

    async def receipt(self, order_id: str, buyer: str) -> dict[str, Any]:
        answer = await self.api.get(f"/v1/orders/{order_id}/receipt", headers=self.bearer("buyer", buyer))
        receipt: dict[str, Any] = answer.json()
        return receipt

    async def sheet(self) -> dict[str, dict[str, str]]:
        """The spreadsheet's rows by order."""
        answer = await self.api.get("/v1/merchant/orders.csv", headers=self.bearer("merchant", "acme"))
        return {
            row["order_id"]: row for row in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
        }


def _of(orders: list[dict[str, Any]], order_id: str) -> dict[str, Any]:
    (order,) = (order for order in orders if order["id"] == order_id)
    return order


@pytest.fixture
def shop(api: httpx.AsyncClient, bearer: Bearer, market: Market) -> Shop:
    return Shop(api, bearer, market)


@pytest.fixture
async def phone(shop: Shop) -> dict[str, Any]:
    """The phone as a product."""
    variant = {
        "sku": "P-1",
        "title": "512 GB",
        "list_price": {"amount": 99_900, "currency": "USD"},
        "options": {"Size": "512 GB"},
        "attributes": {"brand": "Harbour & Rye", "gtin": "4006381333931"},
    }
    body = {
        "title": "Phone 17",
        "description": "New, sealed.",
        "images": ["https://img.example/phone.jpg"],
        "variants": [variant],
    }
    product: dict[str, Any] = await shop.call("POST", "/v1/products", json=body)
    return product


async def turn_into_stickers(shop: Shop, deal: str, product: dict[str, Any]) -> None:
    """Changes all that an offer has, but for the SKU, by the API."""
    variant = {
        "id": product["variants"][0]["id"],
        "title": "5 cm",
        "options": {"Size": "5 cm"},
        "attributes": {},
    }
    change = {"title": "Sticker", "description": "It sticks.", "images": [], "variants": [variant]}
    await shop.call("PATCH", f"/v1/products/{product['id']}", json=change)
    await shop.call("PATCH", f"/v1/deals/{deal}", json={"title": "Sticker, spring sale"})


async def pay(market: Market) -> None:
    await PaymentExecutor(market.pool, SandboxGateway(market.pool), on_recorded=lambda _: None).drain()


async def test_what_was_paid_for_keeps_its_name_when_the_merchant_renames_it(
    shop: Shop, shoppers: Shoppers, market: Market, engine: GroupEngine, phone: dict[str, Any]
) -> None:
    deal = await shop.make_deal(phone["variants"][0]["id"])
    ann = placed(await shoppers.join(deal, "ann"))
    placed(await shoppers.join(deal, "bob"))
    await pay(market)
    await engine.advance_due_groups(10)
    await pay(market)

    await turn_into_stickers(shop, deal, phone)

    told = await shop.told_of(ann["id"], "ann")
    assert len(told) == 7
    assert told == dict.fromkeys(told, PHONE)
    receipt = await shop.receipt(ann["id"], "ann")
    assert receipt["status"] == "captured"
    assert (receipt["deal"]["title"], receipt["product"]["title"]) == ("Phone, spring sale", "Phone 17")
    assert (receipt["variant"]["sku"], receipt["variant"]["title"]) == ("P-1", "512 GB")
    row = (await shop.sheet())[ann["id"]]
    assert [row[name] for name in ("deal_title", "product_title", "variant_title", "sku")] == [
        "Phone, spring sale",
        "Phone 17",
        "512 GB",
        "P-1",
    ]


async def test_what_was_paid_for_keeps_its_name_when_a_feed_renames_it(
    shop: Shop, shoppers: Shoppers, market: Market
) -> None:
    await shop.upload(PHONE_FEED)
    (product,) = (await shop.call("GET", "/v1/products", params={"merchant_id": "acme"}))["items"]
    deal = await shop.make_deal(product["variants"][0]["id"])
    ann = placed(await shoppers.buy(deal, "ann"))
    await pay(market)
    before = await shop.told_of(ann["id"], "ann")

    assert (await shop.upload(STICKER_FEED))["products_changed"] == 1

    assert await shop.told_of(ann["id"], "ann") == before
    assert before["order"]["product_title"] == "Phone 17"
    assert before["order"]["gtin"] == "4006381333931"
    assert (await shop.receipt(ann["id"], "ann"))["product"]["title"] == "Phone 17"
    assert (await shop.sheet())[ann["id"]]["product_title"] == "Phone 17"


async def test_whoever_orders_after_a_change_is_told_what_is_offered_now(
    shop: Shop, shoppers: Shoppers, phone: dict[str, Any]
) -> None:
    deal = await shop.make_deal(phone["variants"][0]["id"])
    ann = placed(await shoppers.join(deal, "ann"))
    await turn_into_stickers(shop, deal, phone)
    bob = placed(await shoppers.join_group(ann["group_id"], "bob"))
    cid = placed(await shoppers.buy(deal, "cid"))

    assert (await shop.told_of(ann["id"], "ann"))["order"] == PHONE
    for order, buyer in ((bob, "bob"), (cid, "cid")):
        told = await shop.told_of(order["id"], buyer)
        since = told["order"]["since"]
        assert told == dict.fromkeys(told, STICKER | {"since": since})
        assert ann["created_at"] < since < order["created_at"]


async def test_an_archived_order_and_one_of_an_ended_deal_keep_their_offer(
    shop: Shop, shoppers: Shoppers, market: Market, engine: GroupEngine, phone: dict[str, Any]
) -> None:
    deal = await shop.make_deal(phone["variants"][0]["id"])
    ann = placed(await shoppers.buy(deal, "ann"))
    await pay(market)
    await shop.call("PATCH", f"/v1/products/{phone['id']}", json={"title": "Sticker"})
    await engine.apply_seat_releases(ORDERS_MAX)
    assert await Archivist(market.pool, age_ms=0).archive_solo_orders(ORDERS_MAX) == 1

    told = await shop.told_of(ann["id"], "ann")
    assert told == dict.fromkeys(told, PHONE)

    await shop.call("POST", f"/v1/deals/{deal}/end")
    await shop.call("PATCH", f"/v1/products/{phone['id']}", json={"title": "Magnet"})
    assert await shop.told_of(ann["id"], "ann") == told


async def test_a_title_is_no_formula_in_a_spreadsheet(
    shop: Shop, shoppers: Shoppers, phone: dict[str, Any]
) -> None:
    deal = await shop.make_deal(phone["variants"][0]["id"])
    for title in ("=HYPERLINK(0)", "+1", "-1", "@SUM(1)"):
        await shop.call("PATCH", f"/v1/deals/{deal}", json={"title": title})
        order = placed(await shoppers.buy(deal, "ann"))
        assert (await shop.sheet())[order["id"]]["deal_title"] == f"'{title}"


async def last_entry(shop: Shop, action: str) -> dict[str, Any]:
    """The newest entry of the merchant's log of an action."""
    items = (await shop.call("GET", "/v1/merchant/activity", params={"action": action}))["items"]
    entry: dict[str, Any] = items[0]
    return entry


async def test_the_log_tells_what_a_feed_changed_of_what_is_on_offer_or_sold(
    shop: Shop, shoppers: Shoppers
) -> None:
    feed = "id,title,price,item_group_id,size\n"
    rows = [f"P-{n},Phone {n},{n}00.00 USD,,{n} GB\n" for n in range(1, 5)]
    await shop.upload(feed + "".join(rows))
    products = (await shop.call("GET", "/v1/products", params={"merchant_id": "acme"}))["items"]
    variants = {product["title"]: product["variants"][0]["id"] for product in products}
    sold = await shop.make_deal(variants["Phone 2"])
    placed(await shoppers.buy(sold, "ann"))
    unsold = await shop.make_deal(variants["Phone 3"])
    for deal in (sold, unsold):
        await shop.call("POST", f"/v1/deals/{deal}/end")
    await shop.make_deal(variants["Phone 1"])

    await shop.upload(feed + "".join(rows).replace("Phone", "Sticker").replace("00.00", "01.00"))

    entry = await last_entry(shop, "import_feed")
    on_offer, of_ended = variants["Phone 1"], variants["Phone 2"]
    assert sorted(entry["object_ids"]) == sorted([on_offer, of_ended])
    assert entry["changes"] == {
        "products_added": {"after": 0},
        "products_changed": {"after": 4},
        "variants_added": {"after": 0},
        "variants_changed": {"after": 4},
        f"{on_offer} product_title": {"before": "Phone 1", "after": "Sticker 1"},
        f"{on_offer} list_price": {"before": [10_000, "USD"], "after": [10_100, "USD"]},
        f"{of_ended} product_title": {"before": "Phone 2", "after": "Sticker 2"},
        f"{of_ended} list_price": {"before": [20_000, "USD"], "after": [20_100, "USD"]},
    }


async def test_the_log_tells_what_a_merchant_changed_of_a_variant(shop: Shop, phone: dict[str, Any]) -> None:
    await turn_into_stickers(shop, await shop.make_deal(phone["variants"][0]["id"]), phone)

    assert (await last_entry(shop, "change_product"))["changes"] == {
        "title": {"before": "Phone 17", "after": "Sticker"},
        "description": {"before": "New, sealed.", "after": "It sticks."},
        "images": {"before": 1, "after": 0},
        "P-1 title": {"before": "512 GB", "after": "5 cm"},
        "P-1 options": {"before": {"Size": "512 GB"}, "after": {"Size": "5 cm"}},
    }
