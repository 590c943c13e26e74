"""A buyer reads over HTTP what an order cost and why, in every state it may be in."""

from __future__ import annotations

from random import Random
from typing import Any

import asyncpg
import httpx
import pytest

from groups.engine import GroupEngine
from pintuan.client import open_client
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pricing.charge import charge, settle
from pricing.ladder import Ladder
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.market import Market

pytestmark = pytest.mark.anyio

LADDER = ((2, 900), (3, 800))
NOTHING = "nothing was charged"


async def pay(pool: asyncpg.Pool) -> None:
    await PaymentExecutor(pool, SandboxGateway(pool), on_recorded=lambda _: None).drain()


async def receipt(api: httpx.AsyncClient, bearer: Bearer, order: str, buyer: str) -> dict[str, Any]:
    answer = await api.get(f"/v1/orders/{order}/receipt", headers=bearer("buyer", buyer))
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    assert shown["order_id"] == order
    return shown


async def refund(api: httpx.AsyncClient, bearer: Bearer, order: str, **body: Any) -> None:
    answer = await api.post(
        f"/v1/orders/{order}/refunds",
        json={"reason": "arrived damaged"} | body,
        headers=bearer("merchant", "acme") | {"Idempotency-Key": f"{order}-{body}"},
    )
    assert answer.status_code == 201, answer.text


def amounts(shown: dict[str, Any], *fields: str) -> list[int | None]:
    return [None if shown[field] is None else shown[field]["amount"] for field in fields]


def recomputed(shown: dict[str, Any]) -> int:
    """What `pricing` charges for what the receipt says, and nothing else."""
    if shown["group"] is None:
        unit_minor: int = shown["list_price"]["amount"]
    else:
        group = shown["group"]
        ladder = Ladder.of((tier["headcount"], tier["unit_price"]["amount"]) for tier in group["ladder"])
        settled = settle(ladder, group["min_headcount"], group["settled_headcount"])
        assert settled is not None
        assert group["tier"]["unit_price"]["amount"] == settled.unit_price_minor
        unit_minor = settled.unit_price_minor
    return charge(shown["promised_unit_price"]["amount"], unit_minor, shown["quantity"]).total_minor


async def test_a_receipt_follows_a_seat_from_its_promise_to_its_refunds(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer, engine: GroupEngine
) -> None:
    pool, deal = market.pool, await market.deal(min_headcount=2, max_headcount=3, ladder=LADDER)
    ann = placed(await shoppers.join(deal, "ann", quantity=2))
    shown = await receipt(api, bearer, ann["id"], "ann")
    assert shown["calculation"] == "at most 900 × 2 = 1800"
    assert amounts(shown, "list_price", "promised_total", "total", "net_total") == [1000, 1800, None, None]
    assert (shown["merchant_id"], shown["deal"], shown["currency"]) == (
        "acme",
        {"id": deal, "title": "Tea"},
        "USD",
    )
    assert (shown["product"]["title"], shown["variant"]["sku"]) == ("Tea", "TEA-1")
    assert (shown["group"]["settled_headcount"], shown["group"]["tier"]) == (None, None)
    assert set(shown["payment"].values()) == {"due", None}

    for name in ("bob", "cid"):
        placed(await shoppers.join(deal, name))
    await pay(pool)
    shown = await receipt(api, bearer, ann["id"], "ann")
    assert (shown["status"], shown["calculation"]) == ("authorised", "at most 900 × 2 = 1800")
    assert shown["payment"]["authorised_at"] is not None

    await engine.advance_due_groups(10)
    shown = await receipt(api, bearer, ann["id"], "ann")
    assert shown["calculation"] == "min(900, 800) × 2 = 1600, not charged yet"
    assert (shown["group"]["settled_headcount"], shown["group"]["tier"]["headcount"]) == (3, 3)

    await pay(pool)
    shown = await receipt(api, bearer, ann["id"], "ann")
    assert (shown["status"], shown["calculation"]) == ("captured", "min(900, 800) × 2 = 1600")
    assert amounts(shown, "charged_unit_price", "total", "net_total") == [800, 1600, 1600]
    assert recomputed(shown) == 1600
    times = shown["payment"]
    assert times["authorised_at"] <= shown["group"]["settled_at"] <= times["captured_at"]
    assert (times["voided_at"], times["refunded_at"]) == (None, None)

    await refund(api, bearer, ann["id"], amount=300)
    shown = await receipt(api, bearer, ann["id"], "ann")
    assert [(one["status"], one["refunded_at"]) for one in shown["refunds"]] == [("pending", None)]
    assert (shown["calculation"], shown["payment"]["refunded_at"]) == ("min(900, 800) × 2 = 1600", None)

    await pay(pool)
    shown = await receipt(api, bearer, ann["id"], "ann")
    assert shown["calculation"] == "min(900, 800) × 2 = 1600, 1600 - 300 given back = 1300"
    assert amounts(shown, "total", "refunded_total", "net_total") == [1600, 300, 1300]
    assert [one["refunded_at"] for one in shown["refunds"]] == [shown["payment"]["refunded_at"]]

    await refund(api, bearer, ann["id"])
    await pay(pool)
    shown = await receipt(api, bearer, ann["id"], "ann")
    assert (shown["status"], *amounts(shown, "total", "net_total")) == ("refunded", 1600, 0)
    assert recomputed(shown) == 1600


async def test_a_solo_purchase_costs_the_list_price(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    order = placed(await shoppers.buy(await market.deal(), "ann", quantity=2))["id"]
    assert (await receipt(api, bearer, order, "ann"))["calculation"] == "at most 1000 × 2 = 2000"
    await pay(market.pool)
    shown = await receipt(api, bearer, order, "ann")
    assert (shown["group"], shown["calculation"], recomputed(shown)) == (None, "1000 × 2 = 2000", 2000)


async def test_orders_that_cost_nothing_say_so(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer, engine: GroupEngine
) -> None:
    pool = market.pool
    deal = await market.deal(min_headcount=3, max_headcount=6, ladder=((3, 900),))
    declined = placed(await shoppers.join(deal, "dan", payment_method="pm_declined"))
    cancelled = placed(await shoppers.join(deal, "cid"))
    released = placed(await shoppers.join(deal, "ann"))
    await pay(pool)
    assert (await shoppers.cancel(cancelled["id"], "cid")).status_code == 200
    expired = placed(await shoppers.join(deal, "eve"))
    await market.pass_deadline(released["group_id"])
    await engine.advance_due_groups(10)
    await market.pass_grace(released["group_id"])
    await engine.advance_due_groups(10)
    await pay(pool)
    other = await market.deal(min_headcount=1, max_headcount=1, ladder=((1, 900),))
    failed = placed(await shoppers.join(other, "fay", payment_method="pm_capture_fails"))
    await pay(pool)
    await engine.advance_due_groups(10)
    await pay(pool)

    for order, buyer, status in (
        (declined, "dan", "declined"),
        (cancelled, "cid", "cancelled"),
        (released, "ann", "released"),
        (expired, "eve", "expired"),
        (failed, "fay", "payment_failed"),
    ):
        shown = await receipt(api, bearer, order["id"], buyer)
        assert (shown["status"], shown["calculation"]) == (status, NOTHING)
        assert amounts(shown, "charged_unit_price", "total", "refunded_total", "net_total") == [None] * 4
        assert (shown["payment"]["captured_at"], shown["refunds"]) == (None, [])
    shown = await receipt(api, bearer, released["id"], "ann")
    assert (shown["group"]["settled_headcount"], shown["group"]["tier"]) == (1, None)
    assert shown["payment"]["voided_at"] is not None


@pytest.mark.parametrize("seed", range(6))
async def test_what_a_receipt_says_gives_the_charge(
    api: httpx.AsyncClient,
    shoppers: Shoppers,
    market: Market,
    bearer: Bearer,
    engine: GroupEngine,
    seed: int,
) -> None:
    random = Random(seed)  # noqa: S311 - it draws examples, and guards nothing.
    steps = sorted(random.sample(range(1, 8), k=random.randint(1, 4)))
    prices = sorted(random.sample(range(1, 1000), k=len(steps)), reverse=True)
    deal = await market.deal(
        ladder=tuple(zip(steps, prices, strict=True)),
        min_headcount=random.randint(steps[0], 7),
        max_headcount=7,
        stock=1000,
        per_buyer=50,
    )
    enough: int = await market.pool.fetchval("SELECT min_headcount FROM deals WHERE id = $1", deal)
    buyers = [f"buyer-{number}" for number in range(random.randint(enough, 7))]
    orders = {
        buyer: placed(await shoppers.join(deal, buyer, quantity=random.randint(1, 50))) for buyer in buyers
    }
    await pay(market.pool)
    await market.pass_deadline(orders[buyers[0]]["group_id"])
    await engine.advance_due_groups(10)
    await pay(market.pool)

    for buyer, order in orders.items():
        shown = await receipt(api, bearer, order["id"], buyer)
        charged: int = await market.pool.fetchval(
            "SELECT captured_minor FROM sandbox_gateway.authorisations WHERE reference = $1", order["id"]
        )
        assert recomputed(shown) == shown["total"]["amount"] == charged


async def test_a_receipt_is_its_buyers_alone_and_has_an_entity_tag(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    order = placed(await shoppers.buy(await market.deal(), "ann"))["id"]
    path = f"/v1/orders/{order}/receipt"
    refused(await api.get(path, headers=bearer("buyer", "bob")), 404, "not_found")
    refused(await api.get(path, headers=bearer("merchant", "acme")), 403, "forbidden")
    refused(await api.get(path), 401, "unauthenticated")

    ann = bearer("buyer", "ann")
    tag = (await api.get(path, headers=ann)).headers["etag"]
    again = await api.get(path, headers=ann | {"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    await pay(market.pool)
    paid = await api.get(path, headers=ann | {"If-None-Match": tag})
    assert (paid.status_code, paid.json()["status"]) == (200, "captured")
    async with open_client(str(api.base_url), token=ann["Authorization"].split()[1]) as pintuan:
        assert (await pintuan.get_receipt(order)).calculation == paid.json()["calculation"]
