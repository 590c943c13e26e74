"""What people see of themselves, and what is left of them when they ask to be forgotten."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from groups.engine import GroupEngine
from groups.keys import Lane
from pintuan.buying.orders.personal import ORDERS_PER_PAGE
from pintuan.people.identity.erased import TOKENS_MS
from pintuan.people.personal.erasures import ROWS_PER_STEP as ORDERS_PER_STEP
from tests.acceptance.shoppers import ORDER, Bearer, Shoppers, placed, refused
from tests.acceptance.signing_in import header_of, refresh, sign_in
from tests.auditing import audited
from tests.erasing import Eraser
from tests.interleaving import lane_store
from tests.market import Market
from tests.waiting import until

pytestmark = pytest.mark.anyio

ANN = "ann@example.com"
HOME = {"name": "Ann Lee", "city": "Lyon"}


async def join(api: httpx.AsyncClient, headers: dict[str, str], deal: str, **changes: Any) -> dict[str, Any]:
    """Joins with all that somebody may tell about themselves."""
    body = ORDER | {"payment_method": "pm_ok:card-7", "ship_to": HOME, "invite_code": "k7mq3xw9bd"} | changes
    response = await api.post(
        f"/v1/deals/{deal}/join", json=body, headers=headers | {"Idempotency-Key": f"join {deal} {changes}"}
    )
    return placed(response)


async def traces(pool: asyncpg.Pool, *words: str) -> list[str]:
    """The tables in which any row holds one of the words, whatever its column."""
    tables = await pool.fetch(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        " AND table_name NOT IN ('schema_migrations', 'schema_definitions')"
    )
    found = []
    for (table,) in tables:
        statement = f"SELECT count(*) FROM {table} t WHERE t::text LIKE ANY($1::text[])"  # noqa: S608 - names of our own tables
        if await pool.fetchval(statement, [f"%{word}%" for word in words]):
            found.append(table)
    return sorted(found)


async def settle(market: Market, engine: GroupEngine, group: str) -> None:
    """Lets a group come to its end, all payments made."""
    await market.pass_deadline(group)
    await engine.advance_due_groups(10)
    for kind in ("capture", "void"):
        await market.end_operations(kind)
    await market.pass_settling()
    await engine.advance_due_groups(10)
    assert (await market.group(group))["status"] in ("succeeded", "failed")
    while await engine.apply_seat_releases(100):
        pass


async def keep_books(pool: asyncpg.Pool) -> None:
    """Gives the sandbox gateway the books that it would have, had it been asked."""
    await pool.execute(
        "INSERT INTO sandbox_gateway.authorisations"
        " (reference, payment_method, card, amount_minor, currency, status, captured_minor)"
        " SELECT a.order_id, 'pm_ok', 'a card', a.amount_minor, a.currency,"
        " CASE WHEN c.state = 'succeeded' THEN 'captured' WHEN v.state = 'succeeded' THEN 'voided'"
        " ELSE 'authorised' END, CASE WHEN c.state = 'succeeded' THEN c.amount_minor ELSE 0 END"
        " FROM payment_operations a"
        " LEFT JOIN payment_operations c ON c.order_id = a.order_id AND c.kind = 'capture'"
        " LEFT JOIN payment_operations v ON v.order_id = a.order_id AND v.kind = 'void'"
        " WHERE a.kind = 'authorise' AND a.state = 'succeeded'"
    )


async def test_people_see_themselves(api: httpx.AsyncClient, bearer: Bearer) -> None:
    tokens = await sign_in(api, email="Ann@Example.com")
    me = (await api.get("/v1/me", headers=header_of(tokens))).json()
    assert me["id"].startswith("usr_")
    assert (me["role"], me["email"], me["phone"]) == ("buyer", ANN, None)
    assert me["created_at"] is not None

    by_phone = await sign_in(api, phone="+12025550123")
    assert (await api.get("/v1/me", headers=header_of(by_phone))).json()["phone"] == "+12025550123"

    told = await api.get("/v1/me", headers=bearer("buyer", "bob"))
    assert told.json() == {
        "id": "bob",
        "role": "buyer",
        "email": None,
        "phone": None,
        "language": None,
        "created_at": None,
    }


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/me"), ("GET", "/v1/me/export"), ("DELETE", "/v1/me")]
)
async def test_only_buyers_have_a_self(
    api: httpx.AsyncClient, bearer: Bearer, method: str, path: str
) -> None:
    refused(await api.request(method, path), 401, "unauthenticated")
    refused(await api.request(method, path, headers=bearer("merchant", "acme")), 403, "forbidden")
    refused(await api.request(method, path, headers=bearer("admin", "root")), 403, "forbidden")


async def test_an_export_has_everything_and_nobody_elses(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market
) -> None:
    deal = await market.deal()
    ann = header_of(await sign_in(api, email=ANN))
    order = await join(api, ann, deal)
    await shoppers.join(deal, "bob")

    exported = (await api.get("/v1/me/export", headers=ann)).json()

    assert exported["me"] == (await api.get("/v1/me", headers=ann)).json()
    (session,) = exported["sessions"]
    assert (session["id"][:4], session["revoked_at"]) == ("ses_", None)
    (message,) = exported["notifications"]
    assert (message["kind"], message["channel"]) == ("sign_in_code", "email")
    (only,) = exported["orders"]
    assert (only["id"], only["ship_to"], only["invite_code"]) == (order["id"], HOME, "k7mq3xw9bd")
    assert (only["payment_method"], only["group"]) == ("pm_ok:card-7", None)


async def test_an_export_has_more_orders_than_fit_a_page(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, pool: asyncpg.Pool
) -> None:
    order = placed(await shoppers.buy(await market.deal(), "ann"))
    await pool.execute(
        "INSERT INTO orders (id, deal_id, lane_no, buyer_id, quantity, status, currency, promised_unit_minor,"
        " payment_method, request_id, hold_until, created_at, updated_at)"
        " SELECT 'ord_' || n, deal_id, lane_no, buyer_id, 1, 'expired', currency, promised_unit_minor,"
        " payment_method, request_id, hold_until, created_at, updated_at"
        " FROM orders CROSS JOIN generate_series(1, $2) AS n WHERE id = $1",
        order["id"],
        2 * ORDERS_PER_PAGE,
    )
    await pool.execute(
        "INSERT INTO payment_operations (order_id, kind, amount_minor, currency, due_at, created_at)"
        " SELECT id, 'authorise', 1, 'USD', app_now(), app_now() FROM orders WHERE id <> $1",
        order["id"],
    )
    exported = (await api.get("/v1/me/export", headers=shoppers.headers("ann"))).json()
    assert len({one["id"] for one in exported["orders"]}) == 2 * ORDERS_PER_PAGE + 1


async def test_nothing_is_left_of_somebody_without_open_orders(
    api: httpx.AsyncClient,
    another_api: httpx.AsyncClient,
    market: Market,
    pool: asyncpg.Pool,
    engine: GroupEngine,
    redis_url: str,
) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),))
    tokens = await sign_in(api, email=ANN)
    subject = (await api.get("/v1/me", headers=header_of(tokens))).json()["id"]
    order = await join(api, header_of(tokens), deal, quantity=3)
    await market.authorise(order["id"])
    await settle(market, engine, order["group_id"])
    before = await pool.fetchrow("SELECT * FROM orders WHERE id = $1", order["id"])
    assert before is not None

    erased = await api.delete("/v1/me", headers=header_of(tokens))

    assert (erased.status_code, erased.content) == (204, b"")
    for one in (api, another_api):
        refused(await one.get("/v1/me", headers=header_of(tokens)), 401, "unauthenticated")
        refused(await one.delete("/v1/me", headers=header_of(tokens)), 401, "unauthenticated")
    refused(await api.get("/v1/orders", headers=header_of(tokens)), 401, "unauthenticated")

    async def is_known_elsewhere() -> bool:
        return (await another_api.get("/v1/orders", headers=header_of(tokens))).status_code == 401

    await until(is_known_elsewhere)
    refused(await refresh(api, tokens["refresh_token"]), 401, "unauthenticated")
    assert await traces(pool, ANN, "Ann Lee", "card-7", "k7mq3xw9bd") == []
    async with lane_store(redis_url) as store:
        assert subject not in (await store.dump(Lane(deal, 0)))["buyers"]
    # That the subject was erased is known until its last token has expired.
    assert await traces(pool, subject) == ["erasures"]
    after = await market.order(order["id"])
    assert after["buyer_id"].startswith("erased_")
    assert [after[name] for name in ("status", "quantity", "final_unit_minor", "promised_unit_minor")] == [
        before[name] for name in ("status", "quantity", "final_unit_minor", "promised_unit_minor")
    ]
    await keep_books(pool)
    report = await audited(pool, redis_url)
    assert report.ok, [check for check in report.checks if check.offenders]

    await _pass_time(pool, TOKENS_MS)
    await Eraser(pool, engine).look(10)
    assert await traces(pool, subject) == []


async def test_an_order_that_runs_is_scrubbed_when_it_has_ended(
    api: httpx.AsyncClient,
    market: Market,
    shoppers: Shoppers,
    pool: asyncpg.Pool,
    engine: GroupEngine,
    redis_url: str,
) -> None:
    deal = await market.deal(min_headcount=2, ladder=((2, 900),))
    ann = header_of(await sign_in(api, email=ANN))
    order = await join(api, ann, deal, quantity=2)
    bob = placed(await shoppers.join(deal, "bob"))
    await market.authorise(order["id"], bob["id"])
    subject = (await market.order(order["id"]))["buyer_id"]

    assert (await api.delete("/v1/me", headers=ann)).status_code == 204
    running = await market.order(order["id"])
    assert (running["buyer_id"], running["payment_method"]) == (subject, "pm_ok:card-7")

    await settle(market, engine, order["group_id"])
    await make_due(pool)
    await Eraser(pool, engine).look(10)

    ended = await market.order(order["id"])
    assert (ended["status"], ended["final_unit_minor"]) == ("captured", 900)
    assert ended["buyer_id"].startswith("erased_")
    assert (ended["ship_to"], ended["invite_code"], ended["payment_method"]) == (None, None, "erased")
    assert (await market.order(bob["id"]))["buyer_id"] == "bob"
    assert await traces(pool, "Ann Lee", "card-7") == []
    await keep_books(pool)
    # Somebody joins, so that Redis holds the lane again, and the two are compared.
    placed(await shoppers.join(deal, "cid"))
    report = await audited(pool, redis_url)
    assert report.ok, [check for check in report.checks if check.offenders]


async def test_a_payment_that_is_still_open_keeps_an_order_as_it_is(
    api: httpx.AsyncClient, market: Market, pool: asyncpg.Pool, engine: GroupEngine
) -> None:
    ann = header_of(await sign_in(api, email=ANN))
    order = await join(api, ann, await market.deal())
    await market.authorise(order["id"])
    cancelled = await api.post(f"/v1/orders/{order['id']}/cancel", headers=ann | {"Idempotency-Key": "c"})
    assert cancelled.json()["status"] == "cancelled"

    assert (await api.delete("/v1/me", headers=ann)).status_code == 204
    assert (await market.order(order["id"]))["payment_method"] == "pm_ok:card-7"

    await market.end_operations("void")
    await make_due(pool)
    await Eraser(pool, engine).look(10)
    assert (await market.order(order["id"]))["payment_method"] == "erased"


async def test_a_join_that_raced_the_erasure_is_forgotten_too(
    api: httpx.AsyncClient, market: Market, pool: asyncpg.Pool, engine: GroupEngine, redis_url: str
) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),))
    tokens = await sign_in(api, email=ANN)
    subject = (await api.get("/v1/me", headers=header_of(tokens))).json()["id"]
    assert (await api.delete("/v1/me", headers=header_of(tokens))).status_code == 204

    late = await engine.place(market.wish(subject, deal=deal))
    await market.authorise(late.order_id)
    await settle(market, engine, await market.group_of(late.order_id))
    await make_due(pool)
    await Eraser(pool, engine).look(10)

    assert await traces(pool, subject) == ["erasures"]
    await keep_books(pool)
    assert (await audited(pool, redis_url)).ok


async def test_many_orders_are_forgotten_a_step_at_a_time(
    api: httpx.AsyncClient,
    shoppers: Shoppers,
    market: Market,
    pool: asyncpg.Pool,
    engine: GroupEngine,
    redis_url: str,
) -> None:
    deals = [await market.deal(lanes=lanes) for lanes in (1, 3)]
    count = ORDERS_PER_STEP + 10
    for deal in deals:
        await pool.execute(
            "INSERT INTO orders (id, deal_id, lane_no, buyer_id, quantity, status, currency,"
            " promised_unit_minor, payment_method, request_id, hold_until, created_at, updated_at)"
            " SELECT 'ord_' || $1 || n, $1, 0, 'ann', 1, 'expired', 'USD', 900, 'pm_ok', '', app_now(),"
            " app_now() - interval '2 days', app_now() FROM generate_series(1, $2) AS n",
            deal,
            count,
        )
        await pool.execute(
            "INSERT INTO payment_operations"
            " (order_id, kind, state, amount_minor, currency, due_at, created_at, ended_at)"
            " SELECT id, 'authorise', 'declined', 900, 'USD', app_now(), app_now(), app_now()"
            " FROM orders WHERE deal_id = $1",
            deal,
        )
    assert (await api.delete("/v1/me", headers=shoppers.headers("ann"))).status_code == 204
    assert await pool.fetchval("SELECT count(*) FROM orders WHERE buyer_id = 'ann'") > ORDERS_PER_STEP
    while await Eraser(pool, engine).look(10):
        pass
    assert await pool.fetchval("SELECT count(*) FROM orders WHERE buyer_id LIKE 'erased\\_%'") == 2 * count
    assert await pool.fetchval("SELECT count(DISTINCT buyer_id) FROM orders") == 1
    assert (await audited(pool, redis_url)).ok


async def test_who_was_forgotten_can_come_back_as_somebody_new(
    api: httpx.AsyncClient, market: Market
) -> None:
    ann = header_of(await sign_in(api, email=ANN))
    before = (await api.get("/v1/me", headers=ann)).json()
    await join(api, ann, await market.deal())
    assert (await api.delete("/v1/me", headers=ann)).status_code == 204

    back = header_of(await sign_in(api, email=ANN))
    after = (await api.get("/v1/me", headers=back)).json()
    assert (after["email"], after["id"] == before["id"]) == (ANN, False)
    assert (await api.get("/v1/orders", headers=back)).json()["items"] == []


async def test_a_subject_without_an_account_is_forgotten_too(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market
) -> None:
    order = placed(await shoppers.join(await market.deal(), "ann", ship_to=HOME))
    exported = (await api.get("/v1/me/export", headers=shoppers.headers("ann"))).json()
    assert (exported["me"]["id"], len(exported["orders"]), exported["sessions"]) == ("ann", 1, [])
    assert exported["orders"][0]["id"] == order["id"]

    assert (await api.delete("/v1/me", headers=shoppers.headers("ann"))).status_code == 204
    refused(await api.get("/v1/me", headers=shoppers.headers("ann")), 401, "unauthenticated")
    assert (await api.get("/v1/me", headers=shoppers.headers("bob"))).status_code == 200


async def make_due(pool: asyncpg.Pool) -> None:
    """Lets the pause before the next look be over."""
    await pool.execute("UPDATE erasures SET look_at = app_now()")


async def _pass_time(pool: asyncpg.Pool, milliseconds: int) -> None:
    await pool.execute(
        "UPDATE erasures SET look_at = app_now(), erased_at = erased_at - $1 * interval '1 millisecond'",
        milliseconds + 1,
    )
