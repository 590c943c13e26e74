"""`pintuan grant` makes merchants and admins of people, known or not."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread
import asyncpg
import pytest
from click.testing import CliRunner, Result

from pintuan.cli import main

pytestmark = pytest.mark.anyio

ANN = "ann@example.com"


@pytest.fixture
def environ(tmp_path: Path, database_url: str) -> dict[str, str]:
    return {"PINTUAN_DATA_DIR": str(tmp_path), "PINTUAN_DATABASE_URL": database_url}


async def run(environ: dict[str, str], *arguments: str) -> Result:
    return await anyio.to_thread.run_sync(
        lambda: CliRunner().invoke(main, ["grant", *arguments], env=environ)
    )


async def granted(environ: dict[str, str], *arguments: str) -> str:
    result = await run(environ, *arguments)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    (account_id,) = result.stdout.splitlines()
    return account_id


async def test_somebody_new_gets_an_account_with_the_role(
    environ: dict[str, str], pool: asyncpg.Pool
) -> None:
    account_id = await granted(environ, "--email", "Ann@Example.com", "--role", "merchant")

    row = await pool.fetchrow("SELECT * FROM accounts JOIN contacts ON account_id = id")
    assert row is not None
    assert (row["id"], row["role"], row["kind"], row["address"]) == (account_id, "merchant", "email", ANN)


async def test_somebody_known_keeps_the_account(environ: dict[str, str], pool: asyncpg.Pool) -> None:
    first = await granted(environ, "--phone", "+1 202 555 0123", "--role", "merchant")
    assert await granted(environ, "--phone", "+12025550123", "--role", "admin") == first
    assert await pool.fetchval("SELECT array_agg(role) FROM accounts") == ["admin"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--role", "merchant"], "--email"),
        (["--role", "merchant", "--email", "ann"], "--email"),
        (["--role", "merchant", "--phone", "12"], "--phone"),
        (["--role", "merchant", "--email", ANN, "--phone", "+12025550123"], "--email"),
        (["--role", "owner", "--email", ANN], "--role"),
        (["--email", ANN], "--role"),
    ],
    ids=str,
)
async def test_a_wrong_call_names_what_is_wrong(
    environ: dict[str, str], arguments: list[str], named: str
) -> None:
    result = await run(environ, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in result.stderr


async def test_a_database_without_schema_is_told_in_one_line(
    environ: dict[str, str], empty_database_url: str
) -> None:
    result = await run(
        environ | {"PINTUAN_DATABASE_URL": empty_database_url}, "--role", "admin", "--email", ANN
    )
    assert result.exit_code == 1
    assert "pintuan migrate" in result.stderr
