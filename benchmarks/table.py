"""The table of goals, as a run prints it at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from benchmarks import wording

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.result import Report, Scenario

_STYLES: Final = {"holds": "green", "missed": "bold red", "not measured": "yellow", "reported": "dim"}


def print_table(report: Report, console: Console) -> None:
    """Prints what was measured next to what is to be reached, and what the audits said."""
    console.print(Group(_goals(report), *_verdict(report)))


def _goals(report: Report) -> Table:
    table = Table(
        title="What was measured, and what is to be reached", title_justify="left", show_lines=False
    )
    table.add_column("figure", ratio=1)
    table.add_column("goal", justify="right", no_wrap=True)
    table.add_column("median", justify="right", no_wrap=True)
    table.add_column("lowest … highest", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for goal in report.goals:
        word = wording.verdict(goal)
        table.add_row(
            Text(goal.what),
            wording.reach(goal),
            wording.median(goal.measured),
            wording.spread(goal.measured),
            Text(word, style=_STYLES[word]),
        )
    return table


def _verdict(report: Report) -> list[Text]:
    asked = [goal for goal in report.goals if goal.relation != "report"]
    kept = sum(bool(goal.holds) for goal in asked)
    lines = [
        Text(f"{kept} of {len(asked)} goals hold, on {report.machine.cores} cores of {report.machine.cpu}.")
    ]
    if report.quick:
        lines.append(
            Text("This was a quick run: it shows that the kit works, and its figures say little.", "yellow")
        )
    broken = [scenario for scenario in report.scenarios if not scenario.audit.clean]
    if not broken:
        lines.append(Text(f"The audit was clean after each of {len(report.scenarios)} scenarios.", "green"))
    for scenario in broken:
        lines += _breakage(scenario)
    return lines


def _breakage(scenario: Scenario) -> list[Text]:
    """A fast run that breaks an invariant is a failed run, so it says what broke."""
    head = Text(f"FAILED: after {scenario.name} the audit found broken invariants:", "bold red")
    return [head, *(Text(f"    {line}") for line in wording.breakage(scenario.audit))]
