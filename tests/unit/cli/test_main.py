"""The `pintuan` command is quick to start and ends expected failures with one line."""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from pintuan.base.settings.settings import SettingsError
from pintuan.cli import SUBCOMMANDS, main

PROCESS_TIMEOUT_S = 20
HEAVY_MODULES = {"asyncpg", "litestar", "redis", "arq", "httpx", "rich", "uvicorn", "msgspec", "asyncio"}


@pytest.fixture
def run_raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], tuple[int, str]]:
    """Runs a subcommand that raises; answers the exit code and what was printed."""

    def run(error: BaseException) -> tuple[int, str]:
        @click.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(main, "get_command", lambda _ctx, _name: command)
        result = CliRunner().invoke(main, ["anything"])
        return result.exit_code, result.output

    return run


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_exists_and_explains_itself(name: str) -> None:
    command = import_module(SUBCOMMANDS[name].module).command

    assert isinstance(command, click.Command)
    assert command.get_short_help_str()


def test_help_lists_every_subcommand() -> None:
    result = CliRunner().invoke(main, ["--help"])

    assert result.exit_code == 0
    for name, subcommand in SUBCOMMANDS.items():
        assert name in result.output
        assert subcommand.summary in result.output


def test_an_unknown_subcommand_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["fly"])

    assert result.exit_code == 2
    assert "No such command 'fly'" in result.output


def test_the_version_is_shown_by_both_ways_to_start() -> None:
    result = CliRunner().invoke(main, ["--version"], prog_name="pintuan")
    module = subprocess.run(
        [sys.executable, "-m", "pintuan", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PROCESS_TIMEOUT_S,
    )

    assert result.output.startswith("pintuan ")
    assert module.stdout == result.output


def test_starting_imports_nothing_heavy() -> None:
    program = (
        "import sys; from pintuan.cli import main; main(['--help'], standalone_mode=False);"
        f"print('heavy:', sorted({HEAVY_MODULES!r} & set(sys.modules)))"
    )

    result = subprocess.run(  # noqa: S603 - the program is this test's own.
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=PROCESS_TIMEOUT_S,
    )

    assert result.stdout.endswith("heavy: []\n")


def test_a_bad_setting_ends_with_one_line_that_names_the_variable(
    run_raising: Callable[[BaseException], tuple[int, str]],
) -> None:
    assert run_raising(SettingsError("PINTUAN_ENV", "must be dev or production")) == (
        1,
        "Error: PINTUAN_ENV: must be dev or production\n",
    )


def test_an_interrupt_is_quiet(run_raising: Callable[[BaseException], tuple[int, str]]) -> None:
    assert run_raising(KeyboardInterrupt()) == (130, "")
