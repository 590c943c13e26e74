"""A whole marketplace with Stripe as its gateway, from joining to refunds, with answers that get lost."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.marketplace import Site, open_deal
from tests.stripe_server import (
    BROKEN_AFTER,
    LOST_AFTER,
    LOST_BEFORE,
    RATE_LIMITED,
    SECRET_KEY,
    WEBHOOK_SECRET,
    StripeServer,
    serving_stripe,
    signed,
)
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WITHIN_S = 30.0
LADDER = [{"headcount": 2, "unit_price": 900}, {"headcount": 3, "unit_price": 800}]
GOOD, DECLINED = "pm_card_visa", "pm_card_visa_chargeDeclined"


@dataclass
class Shop:
    """A marketplace whose payments go to a local Stripe, and those who use it."""

    site: Site
    api: httpx.AsyncClient
    stripe: StripeServer
    environ: dict[str, str]
    merchant: str
    tokens: dict[str, str]
    _keys: itertools.count[int] = field(default_factory=itertools.count)

    def headers(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}", "Idempotency-Key": f"key-{next(self._keys)}"}

    async def deal(self) -> str:
        return await open_deal(
            self.api,
            self.merchant,
            ladder=LADDER,
            min_headcount=2,
            max_headcount=3,
            group_ttl_seconds=600,
            stock=100,
            per_buyer_units=5,
        )

    async def post(self, path: str, who: str, body: dict[str, Any] | None = None) -> httpx.Response:
        token = self.merchant if who == "merchant" else self.tokens[who]
        return await self.api.post(path, json=body, headers=self.headers(token))

    async def join(self, deal: str, who: str, method: str = GOOD) -> str:
        body = {"quantity": 1, "payment_method": method}
        answer = await self.post(f"/v1/deals/{deal}/join", who, body)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return str(answer.json()["id"])

    async def order(self, order: str, who: str) -> dict[str, Any]:
        answer = await self.api.get(f"/v1/orders/{order}", headers=self.headers(self.tokens[who]))
        shown: dict[str, Any] = answer.json()
        return shown

    async def until_status(self, order: str, who: str, *statuses: str) -> None:
        async def has_it() -> bool:
            return str((await self.order(order, who))["status"]) in statuses

        await until(has_it, within_s=WITHIN_S)

    async def tell_everything(self) -> None:
        """Sends each event three times, the last one first."""
        told = list(self.stripe.books.events)
        for event in [*reversed(told), *told, *reversed(told)]:
            body, headers = signed(event, at_s=int(time.time()))
            answer = await self.api.post("/v1/payments/webhooks/stripe", content=body, headers=headers)
            assert answer.status_code == httpx.codes.NO_CONTENT, answer.text

    def intent(self, order: str) -> tuple[str, int, int]:
        intent = self.stripe.books.intent_of(order)
        return intent["status"], intent["amount"], intent["amount_received"]


@pytest.fixture
async def shop(site: Site) -> AsyncIterator[Shop]:
    async with serving_stripe() as server:
        environ = {
            "PINTUAN_PAYMENT_GATEWAY": "stripe",
            "PINTUAN_STRIPE_SECRET_KEY": SECRET_KEY,
            "PINTUAN_STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "PINTUAN_STRIPE_API_BASE": server.url,
        }
        running = await site.up("--api-workers", "1", "--workers", "2", **environ)
        (merchant,) = await site.tokens("merchant", "teahouse")
        buyers = await site.tokens("buyer", "buyer", 6)
        async with running.client() as api:
            names = ("ann", "bob", "cid", "dan", "eve", "fay")
            yield Shop(site, api, server, environ, merchant, dict(zip(names, buyers, strict=True)))


async def test_a_group_is_paid_for_at_its_price_and_given_back_in_part(shop: Shop) -> None:
    deal = await shop.deal()
    # One answer of each kind gets lost on its way, before the effect or after it.
    shop.stripe.next_time("payment_intents", LOST_AFTER)
    shop.stripe.next_time("payment_intents", RATE_LIMITED)
    shop.stripe.next_time("payment_intents", LOST_BEFORE)
    shop.stripe.next_time("/capture", LOST_AFTER)
    shop.stripe.next_time("/capture", LOST_BEFORE)
    shop.stripe.next_time("/capture", BROKEN_AFTER)
    shop.stripe.next_time("refunds", LOST_AFTER)
    refused = await shop.post(f"/v1/deals/{deal}/join", "ann", {"quantity": 1, "payment_method": "tok_1"})
    assert refused.json()["errors"][0]["field"] == "payment_method"

    declined = await shop.join(deal, "dan", DECLINED)
    await shop.until_status(declined, "dan", "declined")
    orders = {who: await shop.join(deal, who) for who in ("ann", "bob", "cid")}
    for who, order in orders.items():
        await shop.until_status(order, who, "captured")
        assert (await shop.order(order, who))["charged_total"] == {"amount": 800, "currency": "USD"}
        # Held for what was promised, taken for what the group reached.
        assert shop.intent(order) in {("succeeded", 900, 800), ("succeeded", 800, 800)}

    ann = orders["ann"]
    for amount, status in ((300, "partially_refunded"), (500, "refunded")):
        wish = {"amount": amount, "reason": "a dent"}
        answer = await shop.post(f"/v1/orders/{ann}/refunds", "merchant", wish)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        await shop.until_status(ann, "ann", status)

    given_back = [refund["amount"] for refund in shop.stripe.books.refunds.values()]
    assert sorted(given_back) == [300, 500]
    assert len(shop.stripe.books.intents) == 4
    await shop.tell_everything()
    await shop.site.assert_sound()
    assert await notices(shop.site) == {}
    await assert_stripes_books_are_asked(shop, order=orders["bob"])


async def assert_stripes_books_are_asked(shop: Shop, *, order: str) -> None:
    asked = ("audit", "--gateway-payments", "100", "--json")
    agreed = await shop.site.run(*asked, **shop.environ)
    assert agreed.status == 0, agreed.output + agreed.errors
    assert "agree on the 3 payments" in agreed.output

    shop.stripe.books.intent_of(order)["amount_received"] = 799
    broken = await shop.site.run(*asked, **shop.environ)
    assert broken.status == 1
    assert f'"id": "{order}"' in broken.output
    assert "theirs: captured, 799 of" in broken.output


async def test_a_seat_given_back_lets_go_of_its_hold_though_answers_get_lost(shop: Shop) -> None:
    deal = await shop.deal()
    shop.stripe.next_time("/cancel", LOST_AFTER)
    order = await shop.join(deal, "ann")
    await shop.until_status(order, "ann", "authorised")
    answer = await shop.post(f"/v1/orders/{order}/cancel", "ann")
    assert answer.status_code == httpx.codes.OK, answer.text

    async def is_voided() -> bool:
        payment: str = (await shop.order(order, "ann"))["payment"]["status"]
        return payment == "voided"

    await until(is_voided, within_s=WITHIN_S)
    assert shop.intent(order)[0] == "canceled"
    await shop.tell_everything()
    await shop.site.assert_sound()
    assert await notices(shop.site) == {}


async def test_what_stripe_does_unasked_is_in_the_audits_notices(shop: Shop) -> None:
    deal = await shop.deal()
    answer = await shop.post(f"/v1/deals/{deal}/buy", "ann", {"quantity": 2, "payment_method": GOOD})
    order = answer.json()["id"]
    await shop.until_status(order, "ann", "captured")
    assert shop.intent(order) == ("succeeded", 2000, 2000)

    shop.stripe.books.dispute(order)
    await shop.tell_everything()
    await shop.site.assert_sound()
    assert await notices(shop.site) == {"gateway_surprises": [order]}


async def notices(site: Site) -> dict[str, list[str]]:
    """What the audit tells without calling it wrong."""
    outcome = await site.run("audit", "--json")
    report = httpx.Response(200, text=outcome.output).json()
    return {
        notice["name"]: [offender["id"] for offender in notice["offenders"]]
        for notice in report["notices"]
        if notice["offenders"]
    }
