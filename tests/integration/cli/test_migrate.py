"""`pintuan migrate` against a database that is set, and against the embedded one of a data directory."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from pintuan.cli import main

pytestmark = pytest.mark.anyio

PROCESSES = 3
PROCESS_TIMEOUT_S = 100


@pytest.fixture(autouse=True)
def _far_from_any_dotenv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps a developer's `.env` out of these tests."""
    monkeypatch.chdir(tmp_path)


async def run_pintuan(*arguments: str, **environ: str) -> Result:
    """Runs the command in a thread, because it brings its own event loop."""
    return await asyncio.to_thread(CliRunner(env=environ).invoke, main, arguments)


async def test_a_migrated_database_is_up_to_date(database_url: str, tmp_path: Path) -> None:
    result = await run_pintuan("migrate", PINTUAN_DATABASE_URL=database_url, PINTUAN_DATA_DIR=str(tmp_path))

    assert (result.exit_code, result.output) == (0, "the schema is up to date\n")
    assert os.listdir(tmp_path) == [], "a database that is set needs no data directory"  # noqa: PTH208 - a Path would block the loop.


async def test_a_dry_run_lists_what_is_missing(database_url: str, pool: asyncpg.Pool) -> None:
    newest = await pool.fetchval(
        "DELETE FROM schema_migrations WHERE number = (SELECT max(number) FROM schema_migrations)"
        " RETURNING name"
    )

    result = await run_pintuan("migrate", "--dry-run", PINTUAN_DATABASE_URL=database_url)

    assert (result.exit_code, result.output) == (0, f"would apply {newest}\n")


async def test_a_migration_that_fails_exits_with_one_line(database_url: str, pool: asyncpg.Pool) -> None:
    await pool.execute("DELETE FROM schema_migrations")

    result = await run_pintuan("migrate", PINTUAN_DATABASE_URL=database_url)

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: 0001_")
    assert "already exists" in result.stderr
    assert result.stderr.count("\n") == 1


async def test_an_unreachable_database_exits_with_one_line_and_no_password() -> None:
    result = await run_pintuan("migrate", PINTUAN_DATABASE_URL="postgresql://shop:hunter2@127.0.0.1:1/shop")

    assert result.exit_code == 1
    assert result.output.startswith("Error: cannot connect to the database at 127.0.0.1:1/shop: ")
    assert result.output.count("\n") == 1
    assert "hunter2" not in result.output


async def test_a_data_directory_that_cannot_be_made_names_its_variable() -> None:
    blocked = f"{__file__}/data"

    result = await run_pintuan("migrate", PINTUAN_DATA_DIR=blocked)

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: PINTUAN_DATA_DIR: cannot use {blocked}: ")


async def test_processes_that_share_a_data_directory_take_turns(own_directory: Path) -> None:
    async def migrate_in_a_process() -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pintuan", "migrate"),
            env=os.environ | {"PINTUAN_DATA_DIR": str(own_directory / "data")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(PROCESS_TIMEOUT_S):
            output, _ = await process.communicate()
        return process.returncode, output.decode().splitlines()[-1]

    results = await asyncio.gather(*(migrate_in_a_process() for _ in range(PROCESSES)))

    assert [code for code, _ in results] == [0] * PROCESSES, results
    last_lines = sorted(line for _, line in results)
    assert last_lines[0].startswith("applied ")
    assert last_lines[1:] == ["the schema is up to date"] * (PROCESSES - 1)
