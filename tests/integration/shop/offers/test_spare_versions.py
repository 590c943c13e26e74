"""Versions of an offer that nobody ordered under are taken away, and no order ever loses its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.shop.offers.audit import AUDIT
from pintuan.shop.offers.store import drop_spare_offers
from tests.interleaving import holding
from tests.rows import Rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

VERSIONS_MAX = 10_000
LATER_MS = 600_000
RETITLE = "UPDATE products SET title = $1"
# A second order like the first, as the statement that records joins writes it.
RECORD = """
    INSERT INTO orders (id, deal_id, lane_no, buyer_id, quantity, currency, promised_unit_minor,
        payment_method, request_id, hold_until, created_at, updated_at)
    SELECT 'late', deal_id, lane_no, buyer_id, quantity, currency, promised_unit_minor, payment_method,
        request_id, hold_until, app_now(), app_now()
    FROM orders WHERE id = $1
"""


@pytest.fixture
async def later(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool whose time is ten minutes on."""
    settings = Settings(database_url=database_url, sim_offset_ms=LATER_MS)
    async with open_pool(settings, size_max=1, application_name="tests") as later:
        yield later


@pytest.fixture
async def rows(pool: asyncpg.Pool) -> Rows:
    return await Rows.open(pool)


async def versions(rows: Rows) -> list[str]:
    """What the product was called in each version of the deal, the first one first."""
    found = await rows.pool.fetch(
        "SELECT product_title FROM offers WHERE deal_id = $1 ORDER BY valid_from", rows.deal_id
    )
    return [row["product_title"] for row in found]


async def ordered(rows: Rows, order_id: str) -> str | None:
    """What the product of an order was called."""
    title: str | None = await rows.pool.fetchval(
        "SELECT f.offer ->> 'product_title'"
        " FROM every_order o CROSS JOIN offer_at(o.deal_id, o.created_at) f WHERE o.id = $1",
        order_id,
    )
    return title


async def test_a_title_changed_back_and_forth_leaves_two_versions(rows: Rows, later: asyncpg.Pool) -> None:
    for n in range(60):
        await rows.pool.execute(RETITLE, f"Coffee {n % 2}")
    assert len(await versions(rows)) == 61

    assert await drop_spare_offers(later, VERSIONS_MAX) == 59
    assert await versions(rows) == ["Tea", "Coffee 1"]
    assert await drop_spare_offers(later, VERSIONS_MAX) == 0, "each version is looked at once"
    assert await rows.pool.fetchval("SELECT count(*) FROM replaced_offers") == 0
    assert await rows.pool.fetch(AUDIT.checks[0].statement, VERSIONS_MAX) == []


@pytest.mark.parametrize("archived", [False, True])
async def test_orders_between_changes_keep_their_versions(
    rows: Rows, later: asyncpg.Pool, *, archived: bool
) -> None:
    orders = {"Tea": await rows.order()}
    for n in range(10):
        await rows.pool.execute(RETITLE, f"Coffee {n}")
        if n in (3, 7):
            orders[f"Coffee {n}"] = await rows.order()
    if archived:
        async with rows.pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute("INSERT INTO archived_orders SELECT * FROM orders")
            await connection.execute("DELETE FROM orders")

    await drop_spare_offers(later, VERSIONS_MAX)

    assert await versions(rows) == ["Tea", "Coffee 3", "Coffee 7", "Coffee 9"]
    assert {title: await ordered(rows, order) for title, order in orders.items()} == {t: t for t in orders}


async def test_an_order_that_is_recorded_late_keeps_its_version(
    rows: Rows, later: asyncpg.Pool, database_url: str
) -> None:
    first = await rows.order()
    await rows.pool.execute(RETITLE, "Coffee")
    async with holding(database_url, RECORD, first) as joining:
        await rows.pool.execute(RETITLE, "Sticker")
        # Nobody sees the order yet, and a version that has just been replaced is left alone.
        assert await drop_spare_offers(rows.pool, VERSIONS_MAX) == 0
        await joining.commit()

    await drop_spare_offers(later, VERSIONS_MAX)

    assert await versions(rows) == ["Tea", "Coffee", "Sticker"]
    assert await ordered(rows, "late") == "Coffee"


async def test_the_database_refuses_to_drop_any_other_version(rows: Rows, later: asyncpg.Pool) -> None:
    await rows.pool.execute(RETITLE, "Coffee")
    await rows.order()
    await rows.pool.execute(RETITLE, "Sticker")
    for title in ("Tea", "Coffee", "Sticker"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="is refused"):
            await later.execute("DELETE FROM offers WHERE product_title = $1", title)
    assert await versions(rows) == ["Tea", "Coffee", "Sticker"]
