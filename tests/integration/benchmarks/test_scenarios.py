"""Scenarios of the load kit, run for a moment: they measure their goals and leave the books in order."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.neighbour_calls import NEIGHBOURS
from benchmarks.report import render_report
from benchmarks.result import Report, Scenario
from benchmarks.scenario import Options, Run
from benchmarks.scenarios import SCENARIOS
from tests.unit.benchmarks.sample import sample_report

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(400)]

GOALS = {
    "flash": {"join_api", "join_all", "join_naive", "join_p99"},
    "links": {"link_api", "link_all"},
    "stampede": {"stampede_one", "stampede_four"},
    "refused": {"full_api", "sold_out_api", "already_in_api", "refused_postgres"},
    "overload": {"overload_goodput", "overload_told", "overload_p99", "overload_recovery"},
    "lifecycle": {"lifecycle"},
    "neighbours": {
        f"{kind}_{what}" for kind in (neighbour.kind for neighbour in NEIGHBOURS) for what in ("kept", "p99")
    },
    "watch": {"watch_seen", "watch_memory", "watch_joins"},
    "pages": {"pages_p99", "cards"},
    "grow": {"grow_orders", "grow_members", "grow_groups", "grow_never_analysed"},
}
OPTIONS = Options(runs=1, quick=True, connections=16)


async def measure(name: str, directory: Path) -> tuple[Scenario, list[str]]:
    said: list[str] = []
    scenario = await SCENARIOS[name].load().measure(Run(OPTIONS, directory, said.append))
    return scenario, said


@pytest.mark.parametrize("name", GOALS)
async def test_a_scenario_measures_its_goals_and_leaves_the_books_in_order(
    name: str, own_directory: Path
) -> None:
    scenario, said = await measure(name, own_directory)

    assert scenario.name == name
    assert scenario.audit.clean, scenario.audit.lines
    assert {goal.id for goal in scenario.goals} == GOALS[name]
    found = [goal.measured for goal in scenario.goals] + [figure.measured for figure in scenario.figures]
    for measured in found:
        assert measured is not None
        assert all(math.isfinite(value) and value >= 0 for value in measured.values), measured
    assert len(said) == SCENARIOS[name].load().steps(OPTIONS)
    assert scenario.title in render_report(_report_of(scenario))


def _report_of(scenario: Scenario) -> Report:
    sample = sample_report()
    return Report(
        command="pintuan bench",
        started_at=sample.started_at,
        took_s=scenario.took_s,
        quick=True,
        machine=sample.machine,
        versions={},
        settings={},
        goals=scenario.goals,
        scenarios=(scenario,),
    )
