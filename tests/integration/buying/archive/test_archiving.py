"""Archiving takes bounded batches of what is over, leaves the rest, and meets others at the same rows."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from pintuan.buying.archive.service import Archivist
from pintuan.buying.archive.store import bring_back_order
from tests.auditing import audited
from tests.market import Market
from tests.rows import Rows
from tests.waiting import until

pytestmark = pytest.mark.anyio

DAY_MS = 24 * 3_600_000


@pytest.fixture
async def rows(pool: asyncpg.Pool) -> Rows:
    return await Rows.open(pool)


@pytest.fixture
def archivist(pool: asyncpg.Pool) -> Archivist:
    return Archivist(pool, age_ms=DAY_MS)


async def ended_group(rows: Rows, *, members: int, days_ago: int = 2) -> tuple[str, list[str]]:
    """A group that succeeded some days ago, all its members paid for and Redis told of them."""
    market, group = Market(rows.pool), await rows.group()
    orders = [await rows.order(group=group) for _ in range(members)]
    await market.authorise(*orders)
    await rows.pool.execute(
        "UPDATE groups SET status = 'closing', closing_at = app_now() WHERE id = $1", group
    )
    await rows.charge(*orders)
    await market.end_operations("capture")
    await rows.pool.execute(
        "UPDATE groups SET status = 'settling', settled_at = closing_at, final_headcount = $2,"
        " final_unit_price_minor = 900 WHERE id = $1",
        group,
        members,
    )
    await rows.pool.execute(
        "UPDATE groups SET status = 'succeeded', ended_at = app_now() - $2 * interval '1 day' WHERE id = $1",
        group,
        days_ago,
    )
    await rows.pool.execute("UPDATE group_progress SET check_at = NULL WHERE group_id = $1", group)
    await rows.pool.execute("DELETE FROM seat_releases")
    return group, orders


async def archived(pool: asyncpg.Pool) -> set[str]:
    return {row["id"] for row in await pool.fetch("SELECT id FROM archived_orders")}


async def is_marked(pool: asyncpg.Pool, group: str) -> bool:
    marked: bool = await pool.fetchval("SELECT archived_at IS NOT NULL FROM groups WHERE id = $1", group)
    return marked


async def test_a_large_group_goes_in_bounded_batches(rows: Rows, archivist: Archivist) -> None:
    group, orders = await ended_group(rows, members=5)

    for count in (2, 4):
        await archivist.archive_groups(2)
        assert len(await archived(rows.pool)) == count
        assert not await is_marked(rows.pool, group)
    await archivist.archive_groups(2)

    assert await archived(rows.pool) == set(orders)
    assert await is_marked(rows.pool, group)
    assert await archivist.archive_groups(2) == 0
    moved = await rows.pool.fetch("SELECT order_id FROM archived_operations WHERE kind = 'capture'")
    assert {row["order_id"] for row in moved} == set(orders)
    assert await rows.pool.fetchval("SELECT count(*) FROM payment_operations") == 0


async def test_what_ended_lately_and_what_runs_stays(rows: Rows, archivist: Archivist) -> None:
    await rows.order(group=await rows.group())
    await rows.order()
    assert await archivist.archive_groups(10) + await archivist.archive_solo_orders(10) == 0
    await rows.pool.execute("DELETE FROM payment_operations")
    await rows.pool.execute("DELETE FROM orders")

    await ended_group(rows, members=2, days_ago=0)

    assert await archivist.archive_groups(10) == 0
    assert await archived(rows.pool) == set()


@pytest.mark.parametrize(
    "unfinished",
    [
        "UPDATE payment_operations SET state = 'failed', escalated_at = app_now()"
        " WHERE order_id = $1 AND kind = 'capture'",
        "INSERT INTO payment_operations"
        " (order_id, kind, operation_no, amount_minor, currency, due_at, created_at)"
        " VALUES ($1, 'refund', 1, 100, 'USD', app_now(), app_now())",
        "INSERT INTO seat_releases (order_id, deal_id, lane_no, request_id, retired)"
        " SELECT id, deal_id, lane_no, request_id, true FROM orders WHERE id = $1",
    ],
    ids=["an escalated payment", "an open refund", "a seat Redis still keeps"],
)
async def test_an_order_with_something_to_do_stays_and_holds_up_no_other(
    rows: Rows, archivist: Archivist, unfinished: str
) -> None:
    group, orders = await ended_group(rows, members=3)
    await rows.pool.execute(unfinished, orders[0])

    await archivist.archive_groups(10)

    assert await archived(rows.pool) == set(orders[1:])
    assert not await is_marked(rows.pool, group)
    # It is looked at again after as long a time, not at once.
    assert await archivist.archive_groups(10) == 0


async def test_a_purchase_without_a_group_goes_by_itself(rows: Rows, archivist: Archivist) -> None:
    order, running = await rows.order(), await rows.order()
    await rows.move(order, "cancelled")
    await rows.pool.execute("DELETE FROM seat_releases")
    await rows.pool.execute(
        "UPDATE payment_operations SET state = 'declined', ended_at = app_now() WHERE order_id = $1", order
    )
    assert await archivist.archive_solo_orders(10) == 0
    await rows.pool.execute("UPDATE orders SET updated_at = app_now() - interval '2 days'")

    assert await archivist.archive_solo_orders(10) == 1
    assert await archived(rows.pool) == {order}
    assert await rows.status(running) == "held"


async def test_a_refund_asked_for_meanwhile_keeps_its_order(rows: Rows, archivist: Archivist) -> None:
    """The order is locked first and looked at after that, so that what was just committed is seen."""
    _, (order, _) = await ended_group(rows, members=2)
    async with rows.pool.acquire() as connection:
        asking = connection.transaction()
        await asking.start()
        await connection.fetchrow("SELECT id FROM orders WHERE id = $1 FOR UPDATE", order)
        await connection.execute(
            "INSERT INTO payment_operations"
            " (order_id, kind, operation_no, amount_minor, currency, due_at, created_at)"
            " VALUES ($1, 'refund', 1, 100, 'USD', app_now(), app_now())",
            order,
        )
        archiving = asyncio.create_task(archivist.archive_groups(10))
        await until(lambda: _somebody_waits(rows.pool))
        await asking.commit()
        await archiving

    assert order not in await archived(rows.pool)
    assert await rows.status(order) == "captured"


async def test_several_archivists_share_the_work(rows: Rows, archivist: Archivist) -> None:
    orders: set[str] = set()
    for _ in range(4):
        orders |= set((await ended_group(rows, members=2))[1])

    async def work() -> None:
        while await archivist.archive_groups(3):
            pass

    await asyncio.gather(*(work() for _ in range(3)))

    assert await archived(rows.pool) == orders
    assert await rows.pool.fetchval("SELECT count(*) FROM orders") == 0


async def test_two_who_bring_the_same_order_back_do_so_once(rows: Rows, archivist: Archivist) -> None:
    group, (order, _) = await ended_group(rows, members=2)
    await archivist.archive_groups(10)

    async def bring_back() -> bool:
        async with rows.pool.acquire() as connection, connection.transaction():
            return await bring_back_order(connection, order, merchant_id="acme")

    assert sorted(await asyncio.gather(bring_back(), bring_back())) == [False, True]
    assert await rows.status(order) == "captured"
    assert (await rows.operations(order)).keys() == {"authorise", "capture"}
    assert not await is_marked(rows.pool, group)


async def test_another_merchants_order_stays_where_it_is(rows: Rows, archivist: Archivist) -> None:
    _, (order, _) = await ended_group(rows, members=2)
    await archivist.archive_groups(10)

    async with rows.pool.acquire() as connection:
        assert not await bring_back_order(connection, order, merchant_id="somebody else")

    assert order in await archived(rows.pool)


async def test_limits_are_forgotten_long_after_their_deal_and_in_bounded_batches(
    rows: Rows, archivist: Archivist, redis_url: str
) -> None:
    await ended_group(rows, members=3)
    assert await archivist.forget_limits(2) == 0
    await rows.pool.execute("UPDATE deals SET status = 'ended', updated_at = app_now() - interval '8 days'")
    running = await rows.group()
    assert await archivist.forget_limits(2) == 0
    await rows.pool.execute("DELETE FROM group_progress WHERE group_id = $1", running)
    await rows.pool.execute("DELETE FROM groups WHERE id = $1", running)

    for left in (1, 0):
        assert await archivist.forget_limits(2) > 0
        assert await rows.pool.fetchval("SELECT count(*) FROM deal_buyers") == left

    assert await archivist.forget_limits(2) == 0
    assert "buyers_within_their_limit" not in {
        check.name for check in (await audited(rows.pool, redis_url)).checks if check.offenders
    }


@pytest.mark.parametrize(
    ("table", "archive", "both"),
    [
        ("orders", "archived_orders", "every_order"),
        ("payment_operations", "archived_operations", "every_operation"),
    ],
)
async def test_a_row_fits_both_tables(pool: asyncpg.Pool, table: str, archive: str, both: str) -> None:
    """Rows are moved column by column in their order; a migration that adds one adds it to all three."""

    async def columns(relation: str) -> list[tuple[str, str]]:
        found = await pool.fetch(
            "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
            " WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            relation,
        )
        return [(row["attname"], row["type"]) for row in found]

    assert await columns(archive) == await columns(table)
    assert await columns(both) == await columns(table)


async def _somebody_waits(pool: asyncpg.Pool) -> bool:
    waiting: bool = await pool.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock')"
    )
    return waiting
