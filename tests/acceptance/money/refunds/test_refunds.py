"""A merchant gives money back over HTTP, and reads in the books what became of it."""

from __future__ import annotations

import csv
import io
from typing import Any

import asyncpg
import httpx
import pytest

from groups.engine import GroupEngine
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.market import Market

pytestmark = pytest.mark.anyio

REFUND = {"amount": 300, "reason": "arrived damaged"}


@pytest.fixture
async def order(pool: asyncpg.Pool, shoppers: Shoppers) -> str:
    """A purchase of 1000 that was paid for."""
    deal = await Market(pool).deal()
    order_id: str = placed(await shoppers.buy(deal, "ann"))["id"]
    await pay(pool)
    return order_id


async def pay(pool: asyncpg.Pool) -> None:
    await PaymentExecutor(pool, SandboxGateway(pool), on_recorded=lambda _: None).drain()


async def refund(
    api: httpx.AsyncClient, bearer: Bearer, order: str, *, by: str = "acme", key: str = "k", **body: Any
) -> httpx.Response:
    return await api.post(
        f"/v1/orders/{order}/refunds",
        json=REFUND | body,
        headers=bearer("merchant", by) | {"Idempotency-Key": key},
    )


async def test_a_part_and_then_the_rest_are_given_back(
    api: httpx.AsyncClient, bearer: Bearer, pool: asyncpg.Pool, order: str
) -> None:
    answer = await refund(api, bearer, order)
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    assert (shown["status"], shown["refunded_total"]) == ("captured", {"amount": 0, "currency": "USD"})
    assert [(entry["amount"]["amount"], entry["status"]) for entry in shown["refunds"]] == [(300, "pending")]

    await pay(pool)
    again = await refund(api, bearer, order)
    assert (again.status_code, again.json()["status"]) == (200, "partially_refunded")
    assert again.json()["refunded_total"]["amount"] == 300

    rest = await api.post(
        f"/v1/orders/{order}/refunds",
        json={"reason": "kept neither"},
        headers=bearer("merchant", "acme") | {"Idempotency-Key": "rest"},
    )
    assert rest.json()["refunds"][1]["amount"]["amount"] == 700
    await pay(pool)
    mine = (await api.get(f"/v1/orders/{order}", headers=bearer("buyer", "ann"))).json()
    assert (mine["status"], mine["payment"]["status"]) == ("refunded", "captured")
    assert {entry["status"] for entry in mine["refunds"]} == {"refunded"}


async def test_what_cannot_be_given_back_is_refused(
    api: httpx.AsyncClient, bearer: Bearer, pool: asyncpg.Pool, order: str, shoppers: Shoppers
) -> None:
    problem = refused(await refund(api, bearer, order, amount=1001), 400, "invalid")
    assert problem["errors"] == [
        {"field": "amount", "message": "must be from 1 to 1000, what is left of the charge"}
    ]
    refused(await refund(api, bearer, order, by="somebody else"), 404, "not_found")
    refused(await refund(api, bearer, order, amount=0), 400, "invalid")
    refused(await refund(api, bearer, order, reason=""), 400, "invalid")
    buyers = bearer("buyer", "ann") | {"Idempotency-Key": "k"}
    refused(await api.post(f"/v1/orders/{order}/refunds", json=REFUND, headers=buyers), 403, "forbidden")
    keyless = await api.post(f"/v1/orders/{order}/refunds", json=REFUND, headers=bearer("merchant", "acme"))
    refused(keyless, 400, "idempotency_key_missing")

    assert (await refund(api, bearer, order, amount=1000)).status_code == 201
    refused(await refund(api, bearer, order, amount=1), 422, "idempotency_key_reused")
    refused(await refund(api, bearer, order, amount=1, key="more"), 409, "not_refundable")
    held = placed(await shoppers.buy(await Market(pool).deal(), "ann"))["id"]
    refused(await refund(api, bearer, held, key="held"), 409, "not_refundable")


async def test_the_balance_and_the_statement_say_what_happened(
    api: httpx.AsyncClient, bearer: Bearer, pool: asyncpg.Pool, order: str
) -> None:
    merchant = bearer("merchant", "acme")
    await refund(api, bearer, order)
    balance = (await api.get("/v1/merchant/balance", headers=merchant)).json()
    amounts = {name: money["amount"] for name, money in balance["items"][0].items()}
    assert amounts == {"available": 700, "pending": 0, "fees": 0, "refunding": 300}

    period = {"created_from": "2020-01-01T00:00:00Z", "created_to": "2020-12-31T00:00:00Z"}
    assert (await lines(api, merchant, period)) == []
    year: int = await pool.fetchval("SELECT extract(year FROM app_now())::int")
    period = {"created_from": f"{year}-01-01T00:00:00Z", "created_to": f"{year + 1}-01-01T00:00:00Z"}
    statement = await lines(api, merchant, period)
    assert [(row["entry"], row["amount_minor"]) for row in statement] == [
        ("sale", "1000"),
        ("refund", "-300"),
    ]
    assert {row["order_id"] for row in statement} == {order}


@pytest.mark.parametrize(
    ("since", "until", "field"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "created_to"),
        ("2026-01-01T00:00:00Z", "2027-06-01T00:00:00Z", "created_to"),
        ("2026-01-01T00:00:00", "2026-02-01T00:00:00Z", "created_from"),
    ],
)
async def test_a_statement_needs_a_period(
    api: httpx.AsyncClient, bearer: Bearer, since: str, until: str, field: str
) -> None:
    answer = await api.get(
        "/v1/merchant/statement.csv",
        params={"created_from": since, "created_to": until},
        headers=bearer("merchant", "acme"),
    )
    assert [error["field"] for error in refused(answer, 400, "invalid")["errors"]] == [field]


async def lines(
    api: httpx.AsyncClient, merchant: dict[str, str], period: dict[str, str]
) -> list[dict[str, str]]:
    answer = await api.get("/v1/merchant/statement.csv", params=period, headers=merchant)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbftime,order_id,entry,amount_minor,currency,amount\r\n")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


@pytest.mark.usefixtures("order")
async def test_a_merchant_reads_the_own_books_and_an_admin_names_whose(
    api: httpx.AsyncClient, bearer: Bearer
) -> None:
    acme, admin = bearer("merchant", "acme"), bearer("admin", "root")
    period = {"created_from": "2020-01-01T00:00:00Z", "created_to": "2020-12-31T00:00:00Z"}
    own = (await api.get("/v1/merchant/balance", headers=acme)).json()
    assert own["items"] != []
    for path, params in (("/v1/merchant/balance", {}), ("/v1/merchant/statement.csv", period)):
        problem = refused(await api.get(path, params=params, headers=admin), 400, "invalid")
        assert [error["field"] for error in problem["errors"]] == ["merchant_id"]
        foreign = params | {"merchant_id": "zenith"}
        refused(await api.get(path, params=foreign, headers=acme), 403, "forbidden")
        refused(await api.get(path, params=params, headers=bearer("buyer", "ann")), 403, "forbidden")
        for headers in (acme, admin):
            named = await api.get(path, params=params | {"merchant_id": "acme"}, headers=headers)
            assert named.text == (await api.get(path, params=params, headers=acme)).text
    assert (
        await api.get("/v1/merchant/balance", params={"merchant_id": "zenith"}, headers=admin)
    ).json() == {"items": []}


async def test_a_groups_revenue_is_told_before_and_after_what_was_given_back(
    api: httpx.AsyncClient, bearer: Bearer, pool: asyncpg.Pool, shoppers: Shoppers, engine: GroupEngine
) -> None:
    deal = await Market(pool).deal(min_headcount=2, max_headcount=2, ladder=((2, 900),))
    one, other = [placed(await shoppers.join(deal, name))["id"] for name in ("ann", "bob")]
    await pay(pool)
    await engine.advance_due_groups(10)
    await pay(pool)
    acme = bearer("merchant", "acme")

    async def group() -> dict[str, Any]:
        answer = await api.get("/v1/merchant/groups", params={"deal_id": deal}, headers=acme)
        (shown,) = answer.json()["items"]
        return {
            name: shown[name]["amount"] if "revenue" in name or name == "refunded" else shown[name]
            for name in ("revenue", "refunded", "net_revenue", "units", "headcount", "orders_by_status")
        }

    sold = {"revenue": 1800, "refunded": 0, "net_revenue": 1800, "units": 2, "headcount": 2}
    assert await group() == sold | {"orders_by_status": {"captured": 2}}
    await refund(api, bearer, one)
    await refund(api, bearer, other, amount=900)
    assert (await group())["refunded"] == 0
    await pay(pool)
    assert await group() == sold | {
        "refunded": 1200,
        "net_revenue": 600,
        "orders_by_status": {"partially_refunded": 1, "refunded": 1},
    }
    table = await api.get("/v1/merchant/orders.csv", params={"deal_id": deal}, headers=acme)
    rows = csv.DictReader(io.StringIO(table.content.decode("utf-8-sig")))
    assert {row["order_id"]: row["refunded_total_minor"] for row in rows} == {one: "300", other: "900"}


async def test_a_refund_the_bank_refused_has_failed_and_one_that_nobody_knows_of_is_pending(
    api: httpx.AsyncClient, bearer: Bearer, pool: asyncpg.Pool, shoppers: Shoppers
) -> None:
    deal = await Market(pool).deal()
    order = placed(await shoppers.buy(deal, "ann", payment_method="pm_refund_fails"))["id"]
    await pay(pool)
    await refund(api, bearer, order)
    await pay(pool)
    assert (await refund(api, bearer, order, key="again", amount=1000)).status_code == 201
    await pool.execute(
        "UPDATE payment_operations SET state = 'failed', failure = 'no answer', ended_at = app_now(),"
        " escalated_at = app_now() WHERE kind = 'refund' AND operation_no = 2"
    )

    shown = (await api.get(f"/v1/orders/{order}", headers=bearer("buyer", "ann"))).json()

    assert [(one["status"], one["refunded_at"]) for one in shown["refunds"]] == [
        ("failed", None),
        ("pending", None),
    ]
    assert (shown["status"], shown["refunded_total"]["amount"]) == ("captured", 0)
    refused(await refund(api, bearer, order, key="third", amount=1), 409, "not_refundable")
