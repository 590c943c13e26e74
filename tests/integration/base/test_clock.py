"""The server's clock is Postgres', whatever this process and a simulation believe."""

import asyncpg
import msgspec
import pytest

from pintuan.base.clock import open_clock
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool

pytestmark = pytest.mark.anyio

DAY_S = 24 * 3600
TOLERANCE_S = 5.0


@pytest.mark.parametrize("offset", ["clock_offset_ms", "sim_offset_ms"])
async def test_no_offset_shifts_the_servers_clock(database_url: str, pool: asyncpg.Pool, offset: str) -> None:
    settings = msgspec.structs.replace(Settings(database_url=database_url), **{offset: DAY_S * 1000})

    async with (
        open_pool(settings, size_max=2, application_name="test") as shifted,
        open_clock(shifted) as clock,
    ):
        told_s = clock.now_s()
    server_s = await pool.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")

    assert abs(server_s - told_s) < TOLERANCE_S


async def test_the_clock_goes_on_between_samples(database_url: str) -> None:
    async with (
        open_pool(Settings(database_url=database_url), size_max=2, application_name="test") as pool,
        open_clock(pool) as clock,
    ):
        first_s = clock.now_s()
        await pool.execute("SELECT pg_sleep(0.05)")
        second_s = clock.now_s()

    assert second_s - first_s >= 0.05
