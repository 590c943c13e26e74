"""What `pintuan doctor` finds."""

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from pintuan.base.keyring import Keyring
from pintuan.base.settings.settings import Settings
from pintuan.cli import main
from pintuan.running.cautions import payments
from pintuan.running.diagnosis import diagnose

if TYPE_CHECKING:
    from tests.conftest import PostgresFixture


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


@pytest.mark.parametrize(
    ("changes", "status", "word"),
    [
        ({}, "ok", "sandbox"),
        ({"env": "production"}, "warn", "SANDBOX IN PRODUCTION"),
        ({"payment_gateway": "stripe", "stripe_secret_key": "sk_test_1"}, "ok", "test key"),
        ({"payment_gateway": "stripe", "stripe_secret_key": "rk_live_1"}, "warn", "live key in dev"),
        (
            {"env": "production", "payment_gateway": "stripe", "stripe_secret_key": "sk_live_1"},
            "ok",
            "live key",
        ),
        (
            {"env": "production", "payment_gateway": "stripe", "stripe_secret_key": "sk_test_1"},
            "warn",
            "test key in production",
        ),
    ],
)
def test_payments_that_only_pretend_are_told_where_they_should_not(
    changes: dict[str, Any], status: str, word: str
) -> None:
    finding = payments(Settings(**changes))
    assert finding.status == status
    assert word in finding.detail
    assert (finding.remedy is None) == (status == "ok")


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


def test_every_bad_setting_is_named_and_the_good_ones_are_shown() -> None:
    report = run_json(
        PINTUAN_HTTP_PORT="many",
        PINTUAN_ENV="production",
        PINTUAN_PUBLIC_URL="https://a.example",
        PINTUAN_PAYMENT_GATEWAY="sandbox",
        PINTUAN_EMBEDDED_STORES="on",
        PINTUAN_SMTP_URL="smtp://mail.example",
        PINTUAN_MAIL_FROM="hello@a.example",
    )

    found = {finding["detail"].partition(":")[0]: finding["remedy"] for finding in report["findings"]}
    assert found.pop("SANDBOX IN PRODUCTION") == "set PINTUAN_PAYMENT_GATEWAY=stripe and its keys"
    assert found == {
        "PINTUAN_HTTP_PORT": "change PINTUAN_HTTP_PORT, or leave it out",
        "PINTUAN_SECRET_KEY": "set PINTUAN_SECRET_KEY",
    }
    shown = {setting["variable"]: setting["value_shown"] for setting in report["settings"]}
    assert shown.keys().isdisjoint(found)
    assert shown["PINTUAN_PUBLIC_URL"] == "https://a.example"


def test_a_line_of_the_environment_file_that_makes_no_sense_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("PINTUAN_SECRET_KEY 'swordfish\n")
    report = run_json()
    assert report["findings"][0]["detail"] == ".env: line 1 is not NAME=value"
    assert report["findings"][0]["remedy"] == "mend .env"


def test_a_variable_that_sets_nothing_is_told_with_the_one_that_was_meant(
    database_url: str, redis_url: str
) -> None:
    result = CliRunner().invoke(
        main,
        ["doctor", "--json"],
        env={
            "PINTUAN_DATABASE_URL": database_url,
            "PINTUAN_REDIS_URL": redis_url,
            "PINTUAN_HTTP_PROT": "9000",
            "PINTUAN_XYZZY": "1",
        },
    )
    found = {finding["detail"]: finding for finding in json.loads(result.output)["findings"]}
    assert found["PINTUAN_HTTP_PROT sets nothing"]["remedy"] == "did you mean PINTUAN_HTTP_PORT?"
    assert found["PINTUAN_XYZZY sets nothing"]["remedy"] == "remove it"
    assert found["PINTUAN_XYZZY sets nothing"]["status"] == "warn"


@pytest.mark.anyio
async def test_a_collector_that_does_not_answer_is_told(database_url: str, redis_url: str) -> None:
    settings = Settings(
        database_url=database_url, redis_url=redis_url, otlp_endpoint=f"http://127.0.0.1:{free_port()}"
    )
    traces = next(finding for finding in await diagnose(settings) if finding.subject == "traces")
    assert traces.status == "warn"
    assert traces.detail.startswith(f"100% of requests to {settings.otlp_endpoint}, which does not answer")


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
