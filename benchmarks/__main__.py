"""The load kit: `python -m benchmarks [SCENARIO …]`, which `pintuan bench` runs.

Prints the table of goals with what was measured and writes `result.json` and `report.html`. Exits 1 when an
audit found a broken invariant or a scenario could not be measured.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

import click
import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.environment import SETTINGS, AuditError
from benchmarks.load_process import LoadError
from benchmarks.machine import describe_machine, find_versions
from benchmarks.report import write_html
from benchmarks.result import Report, write_report
from benchmarks.scenario import (
    CONNECTIONS,
    QUICK_RUNS,
    RUNS_DEFAULT,
    RUNS_MIN,
    Options,
    Run,
    UnexpectedAnswersError,
)
from benchmarks.scenarios import SCENARIOS
from benchmarks.table import print_table
from pintuan.base.stores.embedded import EmbeddedError
from pintuan.base.stores.embedded.process import log_tail
from pintuan.running.supervisor.readiness import NeverReadyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.result import Scenario

ALL: Final = "all"
RUNS_MAX: Final = 100
CONNECTIONS_MAX: Final = 4_096
LAST_WORDS_MAX: Final = 20
_ROUTINE: Final = '"level":"info"'
# Wide enough for the table where no terminal sets a width.
PLAIN_WIDTH: Final = 132
# What can go wrong with a run that is not a defect of the kit.
FAILURES: Final = (
    AuditError,
    EmbeddedError,
    LoadError,
    NeverReadyError,
    UnexpectedAnswersError,
    httpx.HTTPError,
)


@click.command(name="bench", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="[SCENARIO]...", nargs=-1, type=click.Choice([*SCENARIOS, ALL]))
@click.option(
    "--runs", type=click.IntRange(RUNS_MIN, RUNS_MAX), help="Interleaved repetitions.  [default: 7]"
)
@click.option("--quick", is_flag=True, help="Short phases and three runs: shows that all works, roughly.")
@click.option(
    "--connections",
    type=click.IntRange(1, CONNECTIONS_MAX),
    default=CONNECTIONS,
    show_default=True,
    help="Connections of a closed loop.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("bench-results"),
    show_default=True,
    help="Where result.json and report.html go.",
)
@click.pass_context
def main(
    context: click.Context,
    names: tuple[str, ...],
    *,
    runs: int | None,
    quick: bool,
    connections: int,
    out: Path,
) -> None:
    """Measure the marketplace on this machine, against the goals it has set itself."""
    options = Options(runs or (QUICK_RUNS if quick else RUNS_DEFAULT), quick, connections)
    chosen = list(SCENARIOS) if not names or ALL in names else list(dict.fromkeys(names))
    errors = Console(file=sys.stderr)
    report = _measure(chosen, options, errors)
    out.mkdir(parents=True, exist_ok=True)
    write_report(report, out / "result.json")
    write_html(report, out / "report.html")
    console = Console(highlight=False)
    print_table(report, console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH))
    for failure in report.failures:
        click.secho(f"FAILED: {failure}", fg="red", err=True)
    click.echo(f"{out / 'report.html'} and {out / 'result.json'} have it all")
    context.exit(0 if report.clean and not report.failures else 1)


def _measure(names: Sequence[str], options: Options, errors: Console) -> Report:
    """Runs the scenarios one after the other, each on fresh stores, and shows how far it is."""
    machine, started_at, began_s = describe_machine(), datetime.now(UTC), perf_counter()
    scenarios: list[Scenario] = []
    failures: list[str] = []
    columns = (TextColumn("{task.description:10}"), BarColumn(), TextColumn("{task.fields[said]}"))
    with Progress(*columns, TimeElapsedColumn(), console=errors) as progress:
        tasks = {
            name: progress.add_task(name, total=SCENARIOS[name].load().steps(options), said="", start=False)
            for name in names
        }
        for name, task in tasks.items():
            progress.start_task(task)
            with tempfile.TemporaryDirectory(prefix="pintuan-bench-") as directory:
                run = Run(
                    options,
                    Path(directory),
                    lambda said, task=task: progress.update(task, advance=1, said=said),  # type: ignore[misc] # The default binds the loop's variable.
                )
                ended = _run(name, run)
            if isinstance(ended, str):
                # The others are worth their minutes all the same.
                failures.append(ended)
                progress.update(task, said="failed")
            else:
                scenarios.append(ended)
                progress.update(task, said="done")
            progress.stop_task(task)
    return Report(
        command=f"pintuan bench {' '.join(sys.argv[1:])}".strip(),
        started_at=started_at,
        took_s=perf_counter() - began_s,
        quick=options.quick,
        machine=machine,
        versions=find_versions(),
        settings={**SETTINGS, "runs": str(options.runs), "connections": str(options.connections)},
        goals=tuple(goal for scenario in scenarios for goal in scenario.goals),
        scenarios=tuple(scenarios),
        failures=tuple(failures),
    )


def _run(name: str, run: Run) -> Scenario | str:
    """Runs one scenario; returns why it cannot be measured, with the servers' last words, when it cannot."""
    try:
        return asyncio.run(SCENARIOS[name].load().measure(run))
    except FAILURES as error:
        logs = sorted((run.directory / "log").glob("*.log"))
        words = [line for log in logs for line in log_tail(log) if _ROUTINE not in line]
        return "\n".join([f"{name}: {error or type(error).__name__}", *words[-LAST_WORDS_MAX:]])


if __name__ == "__main__":
    main(prog_name="pintuan bench")
