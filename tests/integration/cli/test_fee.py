"""`pintuan fee` sets what the platform takes of a merchant's sales, from the next capture on."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread
import asyncpg
import pytest
from click.testing import CliRunner, Result

from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.cli import main
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from tests.rows import Rows

pytestmark = pytest.mark.anyio

SQL_ADD = "INSERT INTO merchants (id) VALUES ($1) RETURNING fee_bps"


@pytest.fixture
def environ(tmp_path: Path, database_url: str) -> dict[str, str]:
    return {"PINTUAN_DATA_DIR": str(tmp_path), "PINTUAN_DATABASE_URL": database_url}


async def run(environ: dict[str, str], *arguments: str) -> Result:
    return await anyio.to_thread.run_sync(lambda: CliRunner().invoke(main, ["fee", *arguments], env=environ))


async def told(environ: dict[str, str], *arguments: str) -> str:
    result = await run(environ, *arguments)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    (line,) = result.stdout.splitlines()
    return line


async def test_a_fee_is_set_changed_and_shown(environ: dict[str, str], pool: asyncpg.Pool) -> None:
    assert await told(environ, "--merchant", "tea", "--bps", "250") == "tea: new -> 250 basis points"
    assert await told(environ, "--merchant", "tea", "--bps", "0") == "tea: 250 -> 0 basis points"
    assert await told(environ, "--merchant", "tea", "--bps", "10000") == "tea: 0 -> 10000 basis points"
    assert await told(environ, "--merchant", "tea", "--show") == "tea: 10000 basis points"
    assert await pool.fetchval("SELECT fee_bps FROM merchants WHERE id = 'tea'") == 10_000


async def test_the_fee_that_holds_at_the_capture_counts(environ: dict[str, str], pool: asyncpg.Pool) -> None:
    rows, executor = await Rows.open(pool), PaymentExecutor(pool, SandboxGateway(pool))

    async def fees() -> int:
        taken: int = await pool.fetchval(
            "SELECT coalesce(-sum(balance_minor), 0)::int FROM ledger_balances WHERE account = 'platform_fee'"
        )
        return taken

    order = await rows.order(group=await rows.group())
    await executor.drain()
    await rows.charge(order)
    await told(environ, "--merchant", "acme", "--bps", "1000")
    await executor.drain()
    assert await fees() == 90

    await told(environ, "--merchant", "acme", "--bps", "5000")
    assert await fees() == 90
    await rows.order()
    await executor.drain()
    assert await fees() == 90 + 450


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--bps", "1"], "--merchant"),
        (["--merchant", "tea"], "--bps"),
        (["--merchant", "tea", "--bps", "1", "--show"], "--show"),
        (["--merchant", "tea", "--bps", "10001"], "--bps"),
        (["--merchant", "tea", "--bps", "-1"], "--bps"),
        (["--merchant", "tea", "--bps", "2.5"], "--bps"),
        (["--merchant", " tea", "--bps", "1"], "--merchant"),
    ],
    ids=str,
)
async def test_a_wrong_call_names_what_is_wrong(
    environ: dict[str, str], arguments: list[str], named: str
) -> None:
    result = await run(environ, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in result.stderr


async def test_nobodys_fee_is_not_shown(environ: dict[str, str], pool: asyncpg.Pool) -> None:
    result = await run(environ, "--merchant", "nobody", "--show")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no merchant 'nobody'" in result.stderr
    assert await pool.fetchval("SELECT count(*) FROM merchants") == 0


async def test_a_database_without_schema_is_told_in_one_line(
    environ: dict[str, str], empty_database_url: str
) -> None:
    result = await run(environ | {"PINTUAN_DATABASE_URL": empty_database_url}, "--merchant", "tea", "--show")
    assert result.exit_code == 1
    assert "pintuan migrate" in result.stderr


async def test_new_merchants_get_the_operators_fee_and_known_ones_keep_theirs(
    pool: asyncpg.Pool, database_url: str
) -> None:
    assert await pool.fetchval(SQL_ADD, "before") == 0
    settings = Settings(database_url=database_url, platform_fee_bps=300)
    async with open_pool(settings, size_max=1, application_name="test") as charging:
        assert await charging.fetchval(SQL_ADD, "after") == 300
        await charging.execute("INSERT INTO merchants (id) VALUES ('before') ON CONFLICT (id) DO NOTHING")
    assert await pool.fetchval("SELECT fee_bps FROM merchants WHERE id = 'before'") == 0
