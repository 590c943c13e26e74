"""What is long over is read as it was before, and still given back, refused and forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine
from pintuan.buying.archive.service import Archivist
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.people.personal.erasures import insert_erasure
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.auditing import audited
from tests.erasing import Eraser
from tests.market import Market

pytestmark = pytest.mark.anyio

BUYERS = ("ann", "bob", "cid", "dan", "eve")
ORDERS_MAX = 100
INVITE = "k7mq3xw9bd"


@dataclass
class Past:
    """A group that succeeded, with a member whose card was declined, and a purchase without one."""

    api: httpx.AsyncClient
    bearer: Bearer
    pool: asyncpg.Pool
    engine: GroupEngine
    orders: dict[str, str]
    deal: str
    group: str

    async def pay(self) -> None:
        await PaymentExecutor(self.pool, SandboxGateway(self.pool), on_recorded=lambda _: None).drain()

    async def archive(self) -> int:
        """Archives what is over by now; returns how many orders are left outside."""
        await self.engine.apply_seat_releases(ORDERS_MAX)
        archivist = Archivist(self.pool, age_ms=0)
        while await archivist.archive_groups(ORDERS_MAX) or await archivist.archive_solo_orders(ORDERS_MAX):
            pass
        left: int = await self.pool.fetchval("SELECT count(*) FROM orders")
        return left

    async def read(self) -> dict[str, Any]:
        """Everything that can be read of these orders, by path and caller."""
        buyers = {
            f"{path} {buyer}": await self._get(path, self.bearer("buyer", buyer))
            for buyer, order in self.orders.items()
            for path in (f"/v1/orders/{order}", f"/v1/orders/{order}/receipt", "/v1/orders", "/v1/me/export")
        }
        today = datetime.now(UTC).date()
        days = f"created_from={today - timedelta(2)}T00:00:00Z&created_to={today + timedelta(2)}T00:00:00Z"
        merchant = {
            path: await self._get(path, self.bearer("merchant", "acme"))
            for path in (
                "/v1/merchant/orders",
                "/v1/merchant/orders?status=captured",
                f"/v1/merchant/orders?group_id={self.group}",
                "/v1/merchant/groups",
                "/v1/merchant/balance",
                f"/v1/merchant/statement.csv?{days}",
                f"/v1/merchant/orders.csv?{days}",
                f"/v1/merchant/deals/{self.deal}/funnel",
                f"/v1/merchant/groups/{self.group}/referrals",
                f"/v1/groups/{self.group}",
            )
        }
        invites = await self._get(f"/v1/groups/{self.group}/invites", self.bearer("buyer", "ann"))
        return buyers | merchant | {"invites": invites}

    async def _get(self, path: str, headers: dict[str, str]) -> Any:
        answer = await self.api.get(path, headers=headers)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        if "json" not in answer.headers["content-type"]:
            return answer.text
        return _timeless(answer.json())

    async def refund(self, order: str, amount: int) -> httpx.Response:
        return await self.api.post(
            f"/v1/orders/{order}/refunds",
            json={"reason": "arrived damaged", "amount": amount},
            headers=self.bearer("merchant", "acme") | {"Idempotency-Key": f"{order}-{amount}"},
        )


def _timeless(shown: Any) -> Any:
    """The same without the time it was read at."""
    if isinstance(shown, dict):
        return {name: _timeless(value) for name, value in shown.items() if name != "server_time"}
    return [_timeless(value) for value in shown] if isinstance(shown, list) else shown


@pytest.fixture
async def past(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer, engine: GroupEngine
) -> Past:
    deal = await market.deal(min_headcount=2, max_headcount=3, ladder=((2, 900), (3, 800)))
    dan = placed(await shoppers.join(deal, "dan", payment_method="pm_declined"))
    past = Past(api, bearer, market.pool, engine, {"dan": dan["id"]}, deal, dan["group_id"])
    await past.pay()
    await engine.apply_seat_releases(ORDERS_MAX)
    past.orders["ann"] = placed(await shoppers.join_group(past.group, "ann"))["id"]
    await past.pool.execute(
        "INSERT INTO invites (code, group_id, inviter_id, channel, due_at, forget_at)"
        " VALUES ($1, $2, 'ann', 'email', app_now(), app_now())",
        INVITE,
        past.group,
    )
    for buyer in ("bob", "cid"):
        order = placed(await shoppers.join_group(past.group, buyer, invite_code=INVITE))
        past.orders[buyer] = order["id"]
    past.orders["eve"] = placed(await shoppers.buy(deal, "eve", quantity=2))["id"]
    await past.pay()
    await engine.advance_due_groups(ORDERS_MAX)
    await past.pay()
    await engine.advance_due_groups(ORDERS_MAX)
    assert (await past.refund(past.orders["ann"], 300)).status_code == 201
    await past.pay()
    return past


async def test_all_that_was_read_before_is_read_the_same_after(past: Past, redis_url: str) -> None:
    before = await past.read()

    assert await past.archive() == 0

    assert await past.read() == before
    assert before["invites"]["counts"]["joined"] == 1
    report = await audited(past.pool, redis_url)
    assert report.ok, report


async def test_who_joins_or_cancels_is_refused_as_before(
    past: Past, shoppers: Shoppers, redis_url: str
) -> None:
    async def refusals() -> list[str]:
        # A lane that is rebuilt no longer knows the group, and Postgres is asked.
        async with Redis.from_url(redis_url) as redis:
            await redis.flushall()
        answers = (
            await shoppers.cancel(past.orders["bob"], "bob"),
            await shoppers.cancel(past.orders["bob"], "ann"),
            await shoppers.cancel(past.orders["eve"], "eve"),
            await shoppers.join_group(past.group, "bob"),
            await shoppers.join_group(past.group, "eve"),
        )
        return [answer.json()["code"] for answer in answers]

    before = await refusals()

    assert await past.archive() == 0

    assert await refusals() == before
    assert before == ["not_cancellable", "not_found", "not_cancellable", "already_joined", "group_full"]


async def test_an_archived_order_is_given_back_and_archived_again(past: Past, redis_url: str) -> None:
    await past.archive()
    order = past.orders["ann"]

    assert (await past.refund(order, 100)).status_code == 201
    assert await past.pool.fetchval("SELECT count(*) FROM orders") == 1
    await past.pay()

    shown = (await past.read())[f"/v1/orders/{order}/receipt ann"]
    assert (shown["status"], shown["refunded_total"]["amount"]) == ("partially_refunded", 400)
    assert await past.archive() == 0
    assert (await past.read())[f"/v1/orders/{order}/receipt ann"] == shown
    report = await audited(past.pool, redis_url)
    assert report.ok, report


async def test_a_refund_that_is_refused_leaves_its_order_in_the_archive(past: Past) -> None:
    await past.archive()

    refused(await past.refund(past.orders["dan"], 100), 409, "not_refundable")
    refused(await past.refund(past.orders["ann"], 100_000), 400, "invalid")

    assert await past.pool.fetchval("SELECT count(*) FROM orders") == 0


async def test_somebody_who_is_forgotten_is_forgotten_in_the_archive(past: Past, redis_url: str) -> None:
    await past.archive()
    async with past.pool.acquire() as connection:
        await insert_erasure(connection, "ann")

    await Eraser(past.pool, past.engine).scrub("ann", rows_max=ORDERS_MAX)

    assert await past.pool.fetchval("SELECT count(*) FROM every_order WHERE buyer_id = 'ann'") == 0
    assert await past.archive() == 0
    assert (
        await past.pool.fetchval("SELECT count(*) FROM archived_orders WHERE buyer_id LIKE 'erased_%'") == 1
    )
    report = await audited(past.pool, redis_url)
    assert report.ok, report
