"""`pintuan token` prints tokens the API accepts, by Postgres' time when it can be had."""

import time
from pathlib import Path

import anyio.to_thread
import asyncpg
import jwt
import pytest
from click.testing import CliRunner, Result

from pintuan.base.auth import Principal
from pintuan.base.auth.tokens import LIFETIME_S, TokenVerifier
from pintuan.base.keyring import Keyring
from pintuan.cli import main

SECRET_KEY = "a key that signs tokens in tests and nowhere else"
TOLERANCE_S = 10


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"PINTUAN_DATA_DIR": str(tmp_path), "PINTUAN_SECRET_KEY": SECRET_KEY}


def run(environ: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(main, ["token", *arguments], env=environ)


def test_one_token_is_the_subjects_own(environ: dict[str, str]) -> None:
    result = run(environ, "--role", "merchant", "--subject", "teahouse")

    (token,) = result.stdout.splitlines()
    assert TokenVerifier(Keyring(SECRET_KEY), time.time).verify(token).principal == Principal(
        "teahouse", "merchant"
    )
    assert jwt.get_unverified_header(token)["kid"] == Keyring(SECRET_KEY).kid


def test_several_tokens_are_numbered(environ: dict[str, str]) -> None:
    result = run(environ, "--role", "buyer", "--subject", "ann", "--count", "3")

    verifier = TokenVerifier(Keyring(SECRET_KEY), time.time)
    subjects = [verifier.verify(token).principal.subject for token in result.stdout.splitlines()]
    assert subjects == ["ann-0", "ann-1", "ann-2"]


@pytest.mark.parametrize("offset_ms", ["86400000", "-86400000"])
def test_a_shifted_clock_shifts_no_token(environ: dict[str, str], offset_ms: str) -> None:
    shifted = environ | {"PINTUAN_CLOCK_OFFSET_MS": offset_ms, "PINTUAN_SIM_OFFSET_MS": offset_ms}

    result = run(shifted, "--role", "buyer", "--subject", "ann")

    claims = jwt.decode(result.stdout.strip(), options={"verify_signature": False})
    assert abs(claims["iat"] - time.time()) < TOLERANCE_S
    assert claims["exp"] - claims["iat"] == LIFETIME_S


@pytest.mark.anyio
async def test_the_time_of_issue_is_the_databases(environ: dict[str, str], database_url: str) -> None:
    result = await anyio.to_thread.run_sync(
        lambda: run(environ | {"PINTUAN_DATABASE_URL": database_url}, "--role", "buyer", "--subject", "ann")
    )

    connection = await asyncpg.connect(database_url)
    try:
        server_s = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    finally:
        await connection.close()
    assert result.stderr == ""
    claims = jwt.decode(result.stdout.strip(), options={"verify_signature": False})
    assert abs(claims["iat"] - server_s) < TOLERANCE_S


def test_without_an_answer_from_postgres_this_machines_time_is_used_and_said(
    environ: dict[str, str], tmp_path: Path
) -> None:
    unreachable = environ | {"PINTUAN_DATABASE_URL": f"postgresql:///pintuan?host={tmp_path}"}

    result = run(unreachable, "--role", "buyer", "--subject", "ann")

    assert result.exit_code == 0
    assert "this machine's" in result.stderr
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--role", "owner", "--subject", "ann"],
        ["--role", "buyer", "--subject", ""],
        ["--role", "buyer", "--subject", " ann"],
        ["--role", "buyer", "--subject", "a" * 127, "--count", "20"],
        ["--role", "buyer", "--subject", "ann", "--count", "0"],
        ["--role", "buyer", "--subject", "ann", "--count", "100001"],
        ["--role", "buyer", "--subject", "ann", "--ttl-minutes", "16"],
        ["--role", "buyer"],
    ],
    ids=str,
)
def test_a_wrong_call_is_a_usage_error(environ: dict[str, str], arguments: list[str]) -> None:
    result = run(environ, *arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
