"""Stripe tells us of payments: only with its signature, as often as it likes, in any order."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from prometheus_client import REGISTRY

from pintuan.base.settings.settings import Settings
from pintuan.money.gateway_events.routes import EVENT_SIZE_MAX
from pintuan.money.gateway_events.store import purge
from pintuan.money.payments import operations
from pintuan.money.payments.operations import ATTEMPTS_MAX, PaymentExecutor
from pintuan.money.payments.stripe.gateway import open_stripe
from tests.acceptance.conftest import SECRET_KEY, serving
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.market import Market
from tests.stripe_server import LOST_AFTER, LOST_BEFORE, WEBHOOK_SECRET, StripeServer, serving_stripe, signed
from tests.stripe_server import SECRET_KEY as STRIPE_KEY

pytestmark = pytest.mark.anyio

PATH = "/v1/payments/webhooks/stripe"


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        data_dir=tmp_path,
        secret_key=SECRET_KEY,
        payment_gateway="stripe",
        stripe_secret_key=STRIPE_KEY,
        stripe_webhook_secret=WEBHOOK_SECRET,
    )


@dataclass(frozen=True, slots=True)
class Shop:
    """An API that hears from a Stripe of its own, and an executor that asks it."""

    api: httpx.AsyncClient
    pool: asyncpg.Pool
    stripe: StripeServer
    executor: PaymentExecutor
    shoppers: Shoppers

    async def tell(self, event: dict[str, Any], **options: Any) -> httpx.Response:
        body, headers = signed(event, **({"at_s": int(time.time())} | options))
        return await self.api.post(PATH, content=body, headers=headers)

    async def bought(self) -> str:
        """An order that was captured."""
        order: str = placed(
            await self.shoppers.buy(await Market(self.pool).deal(), "ann", payment_method="pm_card_visa")
        )["id"]
        await self.executor.drain()
        return order

    async def surprises(self) -> list[str]:
        rows = await self.pool.fetch(
            "SELECT surprise FROM gateway_events WHERE surprise IS NOT NULL ORDER BY surprise"
        )
        return [row["surprise"] for row in rows]


@pytest.fixture
async def shop(api: httpx.AsyncClient, bearer: Bearer, pool: asyncpg.Pool) -> AsyncIterator[Shop]:
    async with (
        serving_stripe() as server,
        open_stripe(pool, secret_key=STRIPE_KEY, api_base=server.url) as gateway,
    ):
        executor = PaymentExecutor(pool, gateway, on_recorded=lambda _: None)
        yield Shop(api, pool, server, executor, Shoppers(api, bearer))


async def test_what_follows_from_our_own_calls_surprises_nobody_in_any_order(shop: Shop) -> None:
    await shop.bought()
    told = shop.stripe.books.events
    events = [*reversed(told), *told, *reversed(told)]

    answers = [await shop.tell(event) for event in events]
    assert {answer.status_code for answer in answers} == {204}
    assert await shop.surprises() == []
    kept = await shop.pool.fetch("SELECT kind FROM gateway_events ORDER BY kind")
    assert [row["kind"] for row in kept] == [
        "payment_intent.amount_capturable_updated",
        "payment_intent.succeeded",
    ]


async def test_an_event_makes_us_look_at_an_operation_whose_answer_was_lost(shop: Shop) -> None:
    shop.stripe.next_time("payment_intents", LOST_AFTER)
    deal = await Market(shop.pool).deal()
    order = placed(await shop.shoppers.join(deal, "ann", payment_method="pm_card_visa"))["id"]
    # After several attempts the next is some seconds away, and a drain does not stay for it.
    await shop.pool.execute("UPDATE payment_operations SET attempts = 5 WHERE order_id = $1", order)
    await shop.executor.drain()
    await shop.pool.execute(
        "UPDATE payment_operations SET due_at = app_now() + interval '1 hour' WHERE order_id = $1", order
    )
    await shop.executor.drain()
    assert await shop.pool.fetchval("SELECT status FROM orders WHERE id = $1", order) == "held"

    (event,) = shop.stripe.books.events
    assert (await shop.tell(event)).status_code == 204
    await shop.executor.drain()
    shown = await shop.api.get(f"/v1/orders/{order}", headers=shop.shoppers.headers("ann"))
    assert shown.json()["status"] == "authorised"


async def test_an_event_ends_what_was_given_up(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    deal = await Market(shop.pool).deal()
    order = placed(await shop.shoppers.join(deal, "ann", payment_method="pm_card_visa"))["id"]
    await shop.executor.drain()
    await shop.pool.execute("UPDATE orders SET final_unit_minor = promised_unit_minor")
    await shop.pool.execute(
        "INSERT INTO payment_operations"
        " (order_id, kind, amount_minor, currency, attempts, due_at, created_at)"
        " SELECT id, 'capture', promised_unit_minor, currency, $1, app_now(), app_now() FROM orders",
        ATTEMPTS_MAX - 1,
    )
    shop.stripe.next_time("/capture", LOST_AFTER)
    with monkeypatch.context() as patch:
        patch.setattr(operations, "LOOK_UP_DEADLINE_S", 0.0)
        await shop.executor.drain()
    statuses = "SELECT o.status, p.state FROM orders o JOIN payment_operations p ON p.order_id = o.id"
    (row,) = await shop.pool.fetch(f"{statuses} AND p.kind = 'capture' WHERE o.id = $1", order)
    assert tuple(row) == ("authorised", "failed")

    for event in shop.stripe.books.events:
        assert (await shop.tell(event)).status_code == 204
    await shop.executor.drain()

    (row,) = await shop.pool.fetch(f"{statuses} AND p.kind = 'capture' WHERE o.id = $1", order)
    assert tuple(row) == ("captured", "succeeded")


async def test_an_event_makes_us_look_again_at_what_was_given_up(shop: Shop) -> None:
    deal = await Market(shop.pool).deal()
    bought = await shop.shoppers.buy(deal, "ann", payment_method="pm_card_visa")
    order = placed(bought)["id"]
    for fault in (LOST_AFTER, *[LOST_BEFORE] * 8):
        shop.stripe.next_time("/capture", fault)
    await shop.executor.drain()
    await shop.pool.execute(
        "UPDATE payment_operations SET state = 'failed', ended_at = app_now(), escalated_at = app_now(),"
        " failure = 'no answer' WHERE order_id = $1 AND kind = 'capture'",
        order,
    )
    assert await shop.pool.fetchval("SELECT status FROM orders WHERE id = $1", order) == "authorised"

    for event in shop.stripe.books.events * 2:
        assert (await shop.tell(event)).status_code == 204
    await shop.executor.drain()
    assert await shop.pool.fetchval("SELECT status FROM orders WHERE id = $1", order) == "captured"
    assert await shop.surprises() == []


async def test_what_nobody_asked_for_is_told_once_and_changes_no_order(shop: Shop) -> None:
    order = await shop.bought()
    before = REGISTRY.get_sample_value("pintuan_payment_escalations_total", {"kind": "event"})
    events = [
        shop.stripe.books.refund_by_hand(order, 100),
        shop.stripe.books.dispute(order),
        shop.stripe.books.refund_by_hand(order, 50),
    ]

    for event in events * 2:
        assert (await shop.tell(event)).status_code == 204
    assert await shop.surprises() == [
        "given back, and we never asked for it",
        "given back, and we never asked for it",
        "the buyer disputes the charge at their bank",
    ]
    after = REGISTRY.get_sample_value("pintuan_payment_escalations_total", {"kind": "event"})
    assert (after or 0) - (before or 0) == len(events)
    assert await shop.pool.fetchval("SELECT status FROM orders WHERE id = $1", order) == "captured"


async def test_a_hold_that_expired_is_told(shop: Shop) -> None:
    deal = await Market(shop.pool).deal()
    order = placed(await shop.shoppers.join(deal, "ann", payment_method="pm_card_visa"))["id"]
    await shop.executor.drain()

    assert (await shop.tell(shop.stripe.books.cancel_by_itself(order))).status_code == 204
    (surprise,) = await shop.surprises()
    assert "may have expired" in surprise


async def test_payments_that_are_not_ours_are_nobodys_business_here(shop: Shop) -> None:
    order = await shop.bought()
    event = shop.stripe.books.dispute(order)
    event["data"]["object"]["payment_intent"] = "pi_of_another_shop"

    assert (await shop.tell(event)).status_code == 204
    assert await shop.surprises() == []


async def test_only_what_stripe_signed_lately_is_taken(shop: Shop) -> None:
    await shop.bought()
    event = shop.stripe.books.events[0]

    for options in ({"secret": "whsec_other"}, {"at_s": int(time.time()) - 600}):
        problem = refused(await shop.tell(event, **options), 400, "invalid")
        assert [error["field"] for error in problem["errors"]] == ["Stripe-Signature"]
    refused(await shop.api.post(PATH, json=event), 400, "invalid")
    assert await shop.pool.fetchval("SELECT count(*) FROM gateway_events") == 0


@pytest.mark.parametrize(
    "event",
    [{}, {"id": "", "type": "x", "data": {"object": {"object": "refund", "id": "re_1"}}}, {"id": "evt_1"}],
)
async def test_what_is_signed_and_no_event_is_refused(shop: Shop, event: dict[str, Any]) -> None:
    refused(await shop.tell(event), 400, "invalid")


async def test_a_body_no_event_has_is_too_large(shop: Shop) -> None:
    answer = await shop.api.post(PATH, content=b"x" * (EVENT_SIZE_MAX + 1))
    refused(answer, 413, "too_large")


@pytest.mark.parametrize("gateway", ["sandbox", "paypal", "Stripe"])
async def test_a_gateway_that_is_not_in_use_has_no_address(shop: Shop, gateway: str) -> None:
    answer = await shop.api.post(f"/v1/payments/webhooks/{gateway}", content=b"{}")
    refused(answer, 404, "not_found")


async def test_a_marketplace_with_the_sandbox_hears_of_nothing(
    settings: Settings, contract: Contract
) -> None:
    sandbox = msgspec.structs.replace(settings, payment_gateway="sandbox")
    async with serving(sandbox, contract) as api:
        body, headers = signed({"id": "evt_1"}, at_s=int(time.time()))
        for gateway in ("stripe", "sandbox"):
            answer = await api.post(f"/v1/payments/webhooks/{gateway}", content=body, headers=headers)
            refused(answer, 404, "not_found")


async def test_events_are_forgotten_in_time_and_surprises_are_not(shop: Shop) -> None:
    order = await shop.bought()
    for event in [*shop.stripe.books.events, shop.stripe.books.dispute(order)]:
        await shop.tell(event)

    assert await purge(shop.pool, age_ms=60_000, limit=10) == 0
    assert await purge(shop.pool, age_ms=0, limit=10) == 2
    assert len(await shop.surprises()) == 1
