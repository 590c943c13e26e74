"""`pintuan chaos`, which hands over to the fault harness."""

from __future__ import annotations

import os
import sys

import pytest
from click.testing import CliRunner

from benchmarks.chaos.__main__ import main as harness
from pintuan.cli import chaos, main


def test_the_harness_takes_over_with_all_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: calls.append((path, arguments)))

    CliRunner().invoke(main, ["chaos", "--seed", "7", "--seconds", "60", "--fault", "kill_api", "--plan"])

    program = [sys.executable, "-m", "benchmarks.chaos"]
    arguments = ["--seed", "7", "--seconds", "60.0", "--fault", "kill_api", "--plan"]
    assert calls == [(sys.executable, [*program, *arguments])]


def test_both_take_the_same_options() -> None:
    def options(command: object) -> set[str]:
        return {option for parameter in command.params for option in parameter.opts}  # type: ignore[attr-defined]

    assert options(chaos.command) == options(harness)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("NEEDED", ("no_such_module",), "needs no_such_module"),
        ("KIT", "no_such_module", "has no fault harness"),
    ],
)
def test_an_installation_that_cannot_run_it_says_so(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object, said: str
) -> None:
    monkeypatch.setattr(chaos, name, value)

    result = CliRunner().invoke(main, ["chaos"])

    assert result.exit_code == 1
    assert said in result.output
