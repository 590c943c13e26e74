"""`pintuan audit` tells a broken promise from not having been able to look."""

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from click.testing import CliRunner, Result

from groups.engine import GroupEngine
from pintuan.cli import main
from tests.market import Market

if TYPE_CHECKING:
    from tests.conftest import PostgresFixture

pytestmark = pytest.mark.anyio

NOBODY = "127.0.0.1:9"


async def run_audit(database_url: str, redis_url: str, **environ: str) -> Result:
    """Runs the command in a thread, because it brings its own event loop."""
    stores = {"PINTUAN_DATABASE_URL": database_url, "PINTUAN_REDIS_URL": redis_url}
    return await asyncio.to_thread(CliRunner(env=stores | environ).invoke, main, ["audit"])


def assert_could_not_look(result: Result, why: str) -> None:
    assert result.exit_code == 3, result.output
    assert result.stdout == ""
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: ")
    assert why in line
    assert "Traceback" not in result.stderr


async def test_a_broken_promise_is_exit_1_and_a_kept_one_0(
    engine: GroupEngine, market: Market, pool: asyncpg.Pool, database_url: str, redis_url: str
) -> None:
    await engine.place(market.wish("ann", deal=await market.deal()))
    assert (await run_audit(database_url, redis_url)).exit_code == 0
    await pool.execute("DELETE FROM idempotency_keys")
    broken = await run_audit(database_url, redis_url)
    assert broken.exit_code == 1
    assert "BROKEN" in broken.stdout


async def test_stores_that_are_away_are_exit_3(
    engine: GroupEngine, market: Market, database_url: str, redis_url: str
) -> None:
    await engine.place(market.wish("ann", deal=await market.deal()))
    assert_could_not_look(await run_audit(f"postgresql://{NOBODY}/shop", redis_url), "the stores failed: ")
    assert_could_not_look(await run_audit(database_url, f"redis://{NOBODY}"), "did not answer")


async def test_a_database_one_may_not_read_or_that_has_no_tables_is_exit_3(
    postgres: "PostgresFixture", database_url: str, empty_database_url: str, redis_url: str
) -> None:
    assert_could_not_look(await run_audit(empty_database_url, redis_url), "run `pintuan migrate`")
    await postgres.maintenance.execute("CREATE ROLE stranger LOGIN")
    try:
        parts = urlsplit(database_url)
        url = urlunsplit(parts._replace(netloc=parts.netloc.replace("postgres@", "stranger@")))
        assert_could_not_look(await run_audit(url, redis_url), "permission denied")
    finally:
        await postgres.maintenance.execute("DROP ROLE stranger")


async def test_a_setting_that_cannot_be_used_is_exit_3(database_url: str, redis_url: str) -> None:
    assert_could_not_look(await run_audit(database_url, redis_url, PINTUAN_ENV="staging"), "PINTUAN_ENV")
