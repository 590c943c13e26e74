"""What operators do by commands is in the log, and `pintuan activity` shows all of it."""

from __future__ import annotations

import getpass
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pintuan.cli import main

pytestmark = pytest.mark.anyio


@pytest.fixture
def environment(database_url: str, redis_url: str, tmp_path: Any) -> dict[str, str]:
    """Where commands find the stores."""
    return {
        "PINTUAN_DATABASE_URL": database_url,
        "PINTUAN_REDIS_URL": redis_url,
        "PINTUAN_DATA_DIR": str(tmp_path),
    }


async def run(environment: dict[str, str], *arguments: str) -> Result:
    """Runs a command in a thread of its own, where it may have an event loop of its own."""
    import asyncio

    result = await asyncio.to_thread(CliRunner().invoke, main, list(arguments), env=environment)
    assert result.exit_code == 0, result.output
    return result


async def entries(environment: dict[str, str], *arguments: str) -> list[dict[str, Any]]:
    """What `pintuan activity --json` prints."""
    shown = await run(environment, "activity", "--json", *arguments)
    return [json.loads(line) for line in shown.stdout.splitlines()]


async def test_commands_that_change_something_are_logged(environment: dict[str, str], tmp_path: Any) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("id,title,price\nT-1,Tea,10.00 USD\n")
    granting = await run(environment, "grant", "--email", "ann@example.com", "--role", "merchant")
    account = granting.stdout.strip()
    await run(environment, "fee", "--merchant", "teahouse", "--bps", "250")
    await run(environment, "fee", "--merchant", "teahouse", "--show")
    await run(environment, "import", str(feed), "--merchant", "teahouse")

    imported, fee, granted = await entries(environment)
    assert [entry["action"] for entry in (imported, fee, granted)] == [
        "pintuan import",
        "pintuan fee",
        "pintuan grant",
    ]
    for entry in (imported, fee, granted):
        assert (entry["actor"], entry["actor_role"]) == (getpass.getuser(), "operator")
        assert (entry["credential"], entry["address"]) == ("command", None)
    assert (granted["object_ids"], granted["changes"]) == (
        [account],
        {"role": {"before": "buyer", "after": "merchant"}},
    )
    assert fee["merchant_id"] == imported["merchant_id"] == "teahouse"
    assert fee["changes"]["fee_bps"]["after"] == 250
    assert "ann@example.com" not in json.dumps([imported, fee, granted])


async def test_filters_and_lines_for_people(environment: dict[str, str]) -> None:
    await run(environment, "fee", "--merchant", "teahouse", "--bps", "250")
    await run(environment, "fee", "--merchant", "bakery", "--bps", "100")
    (one,) = await entries(environment, "--merchant", "bakery", "--action", "pintuan fee")
    assert one["object_ids"] == ["bakery"]
    assert await entries(environment, "--until", "2020-01-01T00:00:00Z") == []
    assert len(await entries(environment, "--since", "2020-01-01T00:00:00Z", "--limit", "1")) == 1
    line = (await run(environment, "activity", "--object", "teahouse")).stdout
    assert f"operator {getpass.getuser()}: pintuan fee teahouse of teahouse" in line
    assert "fee_bps: " in line
    assert "-> 250" in line


async def test_keys_are_ended_by_a_command_that_says_how_many(environment: dict[str, str]) -> None:
    await run(environment, "fee", "--merchant", "teahouse", "--bps", "250")
    ended = await run(environment, "keys", "revoke", "teahouse")
    assert ended.stdout == "teahouse: ended 0 API keys and 0 sessions\n"
    assert await entries(environment, "--action", "pintuan keys revoke") == []


async def test_keys_of_nobody_are_no_merchants(environment: dict[str, str]) -> None:
    import asyncio

    arguments = ["keys", "revoke", "taehouse"]
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments, env=environment)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no merchant 'taehouse'" in result.stderr


async def test_a_demotion_tells_what_ended_with_it(environment: dict[str, str]) -> None:
    await run(environment, "grant", "--email", "ann@example.com", "--role", "merchant")
    demoted = await run(environment, "grant", "--email", "ann@example.com", "--role", "buyer")
    assert demoted.stderr == ""
    assert demoted.stdout.startswith("usr_")
