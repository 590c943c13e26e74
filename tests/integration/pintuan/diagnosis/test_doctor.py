"""What `pintuan doctor` finds."""

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from pintuan.auth.keyring import Keyring
from pintuan.cli import main
from pintuan.diagnosis import diagnose
from pintuan.settings import Settings

if TYPE_CHECKING:
    from ....conftest import PostgresFixture


@pytest.mark.anyio
async def test_a_fresh_directory_is_well_and_every_remedy_belongs_to_something_unwell(
    own_directory: Path,
) -> None:
    findings = await diagnose(Settings(data_dir=own_directory / "data", http_port=free_port()))
    statuses = {finding.subject: finding.status for finding in findings}
    assert statuses.pop("migrations") == "warn"
    assert set(statuses.values()) <= {"ok", "warn"}
    assert statuses["postgres fsync"] == statuses["redis appendonly"] == "ok"
    assert all((finding.remedy is None) == (finding.status == "ok") for finding in findings)


@pytest.mark.anyio
async def test_a_database_that_is_up_to_date_has_nothing_pending(database_url: str, redis_url: str) -> None:
    findings = await diagnose(Settings(database_url=database_url, redis_url=redis_url))
    assert ("migrations", "ok", "none pending") in [(f.subject, f.status, f.detail) for f in findings]


@pytest.mark.anyio
async def test_servers_that_are_not_there_are_told_with_masked_passwords(own_directory: Path) -> None:
    findings = await diagnose(
        Settings(
            data_dir=own_directory,
            database_url="postgresql://shop:swordfish@127.0.0.1:9/shop",
            redis_url="redis://:swordfish@127.0.0.1:9/0",
            queue_redis_url="redis://:swordfish@127.0.0.1:9/1",
        )
    )
    failing = {finding.subject for finding in findings if finding.status == "FAIL"}
    assert {"postgres", "redis", "job queue"} <= failing
    assert "swordfish" not in str(findings)


@pytest.mark.anyio
async def test_a_taken_port_is_a_failure(own_directory: Path, database_url: str, redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        findings = await diagnose(
            Settings(data_dir=own_directory, http_port=port, database_url=database_url, redis_url=redis_url)
        )
    port_finding = next(finding for finding in findings if finding.subject == "port")
    assert (port_finding.status, port_finding.detail) == ("FAIL", f"{port} is taken by another program")


@pytest.mark.anyio
async def test_the_keys_are_told_by_their_fingerprints(database_url: str, redis_url: str) -> None:
    current, accepted = "swordfish" * 4, "marlin" * 6
    findings = await diagnose(
        Settings(
            database_url=database_url,
            redis_url=redis_url,
            secret_key=current,
            secret_keys_accepted=(accepted,),
        )
    )
    keys = next(finding for finding in findings if finding.subject == "secret key")
    signs, accepts = Keyring(current, [accepted]).kids
    assert (keys.status, keys.detail) == ("ok", f"set; signs as {signs}; also accepts {accepts}")
    assert "swordfish" not in str(findings)
    assert "marlin" not in str(findings)


def test_the_command_exits_1_and_names_the_remedy_when_something_is_wrong(
    postgres: "PostgresFixture", redis_url: str
) -> None:
    report = run_json(PINTUAN_DATABASE_URL=postgres.server.url, PINTUAN_REDIS_URL=redis_url)
    assert report["healthy"] is False
    fsync = next(finding for finding in report["findings"] if finding["subject"] == "postgres fsync")
    assert fsync["status"] == "FAIL"
    assert "set fsync = on" in fsync["remedy"]


def test_a_bad_setting_is_the_one_finding() -> None:
    report = run_json(PINTUAN_HTTP_PORT="many")
    assert [finding["subject"] for finding in report["findings"]] == ["settings"]
    assert "PINTUAN_HTTP_PORT" in report["findings"][0]["detail"]


def test_the_text_shows_settings_without_secrets_and_findings(database_url: str, redis_url: str) -> None:
    environ = {
        "PINTUAN_DATABASE_URL": database_url,
        "PINTUAN_REDIS_URL": redis_url,
        "PINTUAN_SECRET_KEY": "swordfish" * 4,
        "PINTUAN_SECRET_KEYS_ACCEPTED": "swordfish" * 5,
    }
    result = CliRunner().invoke(main, ["doctor"], env=environ)
    assert "PINTUAN_SECRET_KEY" in result.output
    assert "swordfish" not in result.output
    assert "ok   redis appendonly" in result.output


def run_json(**environ: str) -> dict[str, Any]:
    """Runs `pintuan doctor --json`, which must find something wrong."""
    result = CliRunner().invoke(main, ["doctor", "--json"], env=environ)
    assert result.exit_code == 1, result.output
    report: dict[str, Any] = json.loads(result.output)
    return report


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
