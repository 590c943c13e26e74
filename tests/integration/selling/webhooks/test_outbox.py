"""What merchants need to know is written down with the change itself, and nothing else is."""

from __future__ import annotations

import asyncpg
import pytest

from pintuan.selling.webhooks import service
from pintuan.selling.webhooks.schemas import WebhookEndpointChange
from tests.integration.selling.webhooks.conftest import ACME, Hooks
from tests.rows import Rows

pytestmark = pytest.mark.anyio

URL = "https://hooks.example/"


async def test_a_groups_way_to_its_end_is_told_and_held_seats_are_not(hooks: Hooks, rows: Rows) -> None:
    await hooks.endpoint(URL)
    group = await rows.group()
    paid, left, unpaid, undecided = [await rows.order(group=group) for _ in range(4)]
    assert await hooks.events() == [("group.opened", group)]

    await rows.move(unpaid, "declined")
    await rows.move(undecided, "cancelled")
    for order in (paid, left):
        await rows.move(order, "authorised")
    await rows.move(left, "cancelled")
    await rows.charge(paid)
    await rows.move(paid, "captured")
    await hooks.pool.execute(
        "UPDATE groups SET status = 'closing', closing_at = app_now(), settle_by = app_now() WHERE id = $1",
        group,
    )
    await hooks.pool.execute(
        "UPDATE groups SET status = 'settling', settled_at = app_now(), final_headcount = 2,"
        " final_unit_price_minor = 900 WHERE id = $1",
        group,
    )
    await hooks.pool.execute(
        "UPDATE groups SET status = 'succeeded', ended_at = app_now() WHERE id = $1", group
    )

    assert await hooks.events() == [
        ("group.opened", group),
        ("order.authorised", paid),
        ("order.authorised", left),
        ("order.cancelled", left),
        ("order.captured", paid),
        ("group.succeeded", group),
    ]


async def test_each_part_that_is_given_back_is_told(hooks: Hooks, rows: Rows) -> None:
    order = await rows.order()
    await rows.move(order, "authorised")
    await rows.charge(order)
    await rows.move(order, "captured")
    await hooks.endpoint(URL)
    for status, refunded in (("partially_refunded", 300), ("partially_refunded", 500), ("refunded", 900)):
        await hooks.pool.execute(
            "UPDATE orders SET refund_asked_minor = $3, refunded_minor = $3, status = $2 WHERE id = $1",
            order,
            status,
            refunded,
        )
    assert await hooks.events() == [
        ("order.partially_refunded", order),
        ("order.partially_refunded", order),
        ("order.refunded", order),
    ]


async def test_a_capture_that_finally_failed_is_told(hooks: Hooks, rows: Rows) -> None:
    await hooks.endpoint(URL, events=["order.payment_failed"])
    order = await rows.order()
    await rows.move(order, "authorised")
    await rows.charge(order)
    await rows.move(order, "payment_failed")
    assert await hooks.events() == [("order.payment_failed", order)]


async def test_a_change_that_is_rolled_back_leaves_no_event(hooks: Hooks, rows: Rows) -> None:
    await hooks.endpoint(URL)
    order = await rows.order()
    async with hooks.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE orders SET status = 'authorised' WHERE id = $1", order)
        assert await connection.fetchval("SELECT count(*) FROM events") == 1
        await transaction.rollback()
    with pytest.raises(asyncpg.CheckViolationError):
        await rows.move(order, "captured")
    assert await hooks.events() == []


async def test_one_statement_that_moves_many_orders_writes_each_once(hooks: Hooks, rows: Rows) -> None:
    await hooks.endpoint(URL)
    await hooks.endpoint(URL)
    orders = [await rows.order() for _ in range(20)]
    await hooks.pool.execute("UPDATE orders SET status = 'authorised'")
    await hooks.pool.execute("UPDATE orders SET updated_at = app_now()")
    assert sorted(await hooks.events()) == sorted(("order.authorised", order) for order in orders)


async def test_nothing_is_written_for_whom_nobody_listens(hooks: Hooks, rows: Rows) -> None:
    await hooks.pool.execute("INSERT INTO merchants (id) VALUES ('globex')")
    await hooks.endpoint(URL, merchant="globex")
    await hooks.endpoint(URL, events=["order.refunded"])
    disabled = await hooks.endpoint(URL)
    await service.change_endpoint(hooks.pool, ACME, disabled.id, WebhookEndpointChange(enabled=False))
    group = await rows.group()
    await rows.move(await rows.order(group=group), "authorised")
    assert await hooks.events() == []


async def test_events_wait_for_an_endpoint_that_is_paused(hooks: Hooks, rows: Rows) -> None:
    endpoint = await hooks.endpoint(URL)
    await hooks.pool.execute("UPDATE webhook_endpoints SET status = 'paused', paused_at = app_now()")
    await rows.group()
    await hooks.deliver()
    (waiting,) = await hooks.log(endpoint)
    assert (waiting.status, waiting.attempts) == ("pending", 0)
