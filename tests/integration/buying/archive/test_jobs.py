"""A worker archives what is over for as long as was set, or nothing."""

from __future__ import annotations

import asyncpg
import pytest

from pintuan.base.jobs.process_jobs import ProcessJobs
from pintuan.buying.archive.jobs import Jobs
from pintuan.buying.archive.service import Archivist
from tests.rows import Rows

pytestmark = pytest.mark.anyio

DAY_MS = 24 * 3_600_000


@pytest.mark.parametrize(("archive_after_ms", "left"), [(DAY_MS, 1), (3 * DAY_MS, 2), (None, 2)])
async def test_orders_are_archived_at_the_age_that_was_set_and_else_never(
    pool: asyncpg.Pool, archive_after_ms: int | None, left: int
) -> None:
    rows = await Rows.open(pool)
    await pool.execute("UPDATE schema_migrations SET applied_at = applied_at - interval '2 hours'")
    await end_one_of_two(rows)

    await archive(pool, archive_after_ms)

    assert await pool.fetchval("SELECT count(*) FROM orders") == left
    assert await pool.fetchval("SELECT count(*) FROM every_order") == 2


async def test_nothing_is_archived_while_older_processes_may_still_read(pool: asyncpg.Pool) -> None:
    """A release migrates first; a process it has not replaced yet would miss what was moved."""
    await end_one_of_two(await Rows.open(pool))

    await archive(pool, DAY_MS)

    assert await pool.fetchval("SELECT count(*) FROM orders") == 2


async def archive(pool: asyncpg.Pool, age_ms: int | None) -> None:
    jobs = ProcessJobs()
    jobs.add(Jobs(None if age_ms is None else Archivist(pool, age_ms=age_ms)))
    await jobs.run("archive")
    await jobs.close()


async def end_one_of_two(rows: Rows) -> None:
    """Two orders of two days ago, one of which was declined."""
    over, _ = await rows.order(), await rows.order()
    await rows.pool.execute(
        "UPDATE payment_operations SET state = 'declined', ended_at = app_now() WHERE order_id = $1", over
    )
    await rows.move(over, "declined")
    await rows.pool.execute("DELETE FROM seat_releases")
    await rows.pool.execute("UPDATE orders SET updated_at = app_now() - interval '2 days'")
