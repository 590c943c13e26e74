"""The job of forgetting people carries erasures on until nothing is left to do."""

from __future__ import annotations

import asyncpg
import pytest

from groups.engine import GroupEngine
from pintuan.base.jobs.process_jobs import ProcessJobs
from pintuan.people.personal.erasures import ROWS_PER_STEP, insert_erasure
from pintuan.people.personal.jobs import Jobs
from tests.erasing import Eraser
from tests.rows import Rows
from tests.waiting import until

pytestmark = pytest.mark.anyio


async def test_more_orders_than_fit_a_step_are_all_scrubbed(pool: asyncpg.Pool, engine: GroupEngine) -> None:
    rows = await Rows.open(pool)
    await pool.execute(
        "INSERT INTO orders (id, deal_id, lane_no, buyer_id, quantity, status, currency, promised_unit_minor,"
        " payment_method, request_id, hold_until, created_at, updated_at)"
        " SELECT 'ord_' || n, $1, 0, 'ann', 1, 'expired', 'USD', 900, 'pm_ok', '', app_now(), app_now(),"
        " app_now() FROM generate_series(1, $2) AS n",
        rows.deal_id,
        2 * ROWS_PER_STEP + 1,
    )
    async with pool.acquire() as connection, connection.transaction():
        await insert_erasure(connection, "ann")
    jobs = ProcessJobs()
    jobs.add(Jobs(Eraser(pool, engine), jobs))

    await jobs.run("erasures")

    async def all_are_scrubbed() -> bool:
        return not await pool.fetchval("SELECT count(*) FROM orders WHERE buyer_id = 'ann'")

    await until(all_are_scrubbed)
    await jobs.close()
