"""The kit's command: what it runs, writes and exits with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner

import benchmarks.__main__ as kit
from benchmarks.result import Audit, read_report
from benchmarks.scenario import Options, Run, UnexpectedAnswersError
from benchmarks.scenarios import SCENARIOS
from pintuan.cli.bench import command
from tests.unit.benchmarks.sample import sample_report

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from benchmarks.result import Scenario

FLASH = sample_report().scenarios[0]


@dataclass
class FakeScenario:
    """A scenario that measures nothing."""

    found: Scenario | Exception
    seen: list[Run]

    def load(self) -> FakeScenario:
        return self

    def steps(self, _options: Options) -> int:
        return 1

    async def measure(self, run: Run) -> Scenario:
        self.seen.append(run)
        run.on_step("one of one")
        (run.directory / "log").mkdir()
        routine, complaint = '{"event":"ready","level":"info"}', '{"event":"lost","level":"error"}'
        (run.directory / "log" / "api-0.log").write_text(f"{routine}\n{complaint}\n")
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def seen() -> list[Run]:
    return []


def run_kit(
    monkeypatch: pytest.MonkeyPatch, out: Path, seen: list[Run], found: Scenario | Exception, *options: str
) -> Result:
    monkeypatch.setattr(kit, "SCENARIOS", {"flash": FakeScenario(found, seen)})
    return CliRunner().invoke(kit.main, ["flash", "--out", str(out), *options])


def test_a_run_prints_the_table_and_writes_both_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seen: list[Run]
) -> None:
    result = run_kit(monkeypatch, tmp_path / "new", seen, FLASH, "--runs", "2", "--connections", "9")

    assert result.exit_code == 0, result.output
    assert FLASH.goals[0].what in result.output
    assert seen[0].options == Options(runs=2, quick=False, connections=9)
    assert read_report(tmp_path / "new" / "result.json").goals == FLASH.goals
    assert FLASH.title in (tmp_path / "new" / "report.html").read_text()


def test_a_quick_run_has_fewer_repetitions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seen: list[Run]
) -> None:
    run_kit(monkeypatch, tmp_path, seen, FLASH, "--quick")
    run_kit(monkeypatch, tmp_path, seen, FLASH)

    assert [(run.options.runs, run.options.quick) for run in seen] == [(3, True), (7, False)]


def test_a_run_that_broke_an_invariant_fails_and_is_written_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seen: list[Run]
) -> None:
    broken = msgspec.structs.replace(FLASH, audit=Audit(clean=False, lines=("BROKEN  oversold",)))

    result = run_kit(monkeypatch, tmp_path, seen, broken)

    assert result.exit_code == 1
    assert "oversold" in result.output
    assert read_report(tmp_path / "result.json").clean is False


def test_a_run_that_cannot_be_measured_ends_with_what_the_servers_complained_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seen: list[Run]
) -> None:
    result = run_kit(monkeypatch, tmp_path, seen, UnexpectedAnswersError("3 times 500"))

    assert result.exit_code == 1
    assert "flash: 3 times 500" in result.output
    assert '"lost"' in result.output
    assert '"ready"' not in result.output


def test_a_scenario_that_fails_leaves_the_others_their_figures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seen: list[Run]
) -> None:
    fakes = {
        "bad": FakeScenario(UnexpectedAnswersError("3 times 500"), seen),
        "flash": FakeScenario(FLASH, seen),
    }
    monkeypatch.setattr(kit, "SCENARIOS", fakes)

    result = CliRunner().invoke(kit.main, ["--out", str(tmp_path)])

    assert result.exit_code == 1
    report = read_report(tmp_path / "result.json")
    assert report.scenarios == (FLASH,)
    assert "bad: 3 times 500" in report.failures[0]
    assert "bad: 3 times 500" in (tmp_path / "report.html").read_text()


def test_an_unknown_scenario_is_wrong_usage_and_told_with_those_there_are() -> None:
    result = CliRunner().invoke(kit.main, ["fly"])

    assert result.exit_code == 2
    assert "'flash'" in result.output


def test_the_command_of_the_application_names_every_scenario() -> None:
    help_text = command.callback.__doc__ if command.callback else None

    assert help_text is not None
    for name in (*SCENARIOS, kit.ALL):
        assert name in help_text


def test_the_command_of_the_application_takes_what_the_kit_takes() -> None:
    kit_options = {option for parameter in kit.main.params for option in parameter.opts}

    assert {option for parameter in command.params for option in parameter.opts} == {
        "scenarios" if option == "names" else option for option in kit_options
    }
