"""The table that a run prints at its end, and how numbers are shown in it."""

from __future__ import annotations

from io import StringIO

import msgspec
import pytest
from rich.console import Console

from benchmarks import wording
from benchmarks.result import Audit, Goal, Report, measured
from benchmarks.table import print_table
from tests.unit.benchmarks.sample import broken_report, sample_report


def printed(report: Report) -> str:
    console = Console(file=StringIO(), width=140, color_system=None)
    print_table(report, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def line_with(text: str, output: str) -> str:
    (line,) = [line for line in output.splitlines() if text in line]
    return line


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.00"),
        (0.6134, "0.613"),
        (0.00123, "0.00123"),
        (1.0, "1.00"),
        (12.345, "12.3"),
        (149.6, "150"),
        (4310.2, "4,310"),
        (-0.5, "-0.5"),
    ],
)
def test_numbers_have_three_significant_digits(value: float, shown: str) -> None:
    assert wording.number(value) == shown


def test_the_table_sets_what_was_measured_beside_the_goal() -> None:
    output = printed(sample_report())

    held = line_with("API CPU per join ÷ hello", output)
    for text in ("≤ 0.7", "0.61", "0.58 … 0.66", "holds"):
        assert text in held
    assert "missed" in line_with("throughput against the naive design", output)
    only_reported = line_with("over 2,000 deals", output)
    assert "181 µs" in only_reported
    assert "reported" in only_reported


def test_the_table_counts_the_goals_that_ask_for_something() -> None:
    assert "1 of 2 goals hold" in printed(sample_report())


def test_a_goal_that_was_not_measured_says_so() -> None:
    goal = Goal("p99", "p99 at half of saturation", "at_most", 30.0, "ms", None, holds=False)
    report = msgspec.structs.replace(sample_report(), goals=(goal,))

    line = line_with("p99 at half", printed(report))

    assert "≤ 30.0 ms" in line
    assert "not measured" in line


def test_one_run_has_no_spread() -> None:
    assert wording.spread(measured("ms", (1.0,))) == ""
    assert wording.spread(measured("ms", (1.0, 3.0, 2.0))) == "1.00 … 3.00"


def test_a_run_that_broke_an_invariant_names_the_scenario_and_what_broke() -> None:
    output = printed(broken_report())

    assert "FAILED: after flash" in output
    assert "grp_1: 11" in output
    assert "The audit was clean" not in output


def test_a_clean_run_says_so() -> None:
    assert "The audit was clean after each of 1 scenarios." in printed(sample_report())


def test_of_a_long_audit_the_first_broken_lines_are_shown_and_the_rest_counted() -> None:
    lines = ("ok      one", "BROKEN  two", *(f"          ord_{number}: wrong" for number in range(50)))

    shown = wording.breakage(Audit(clean=False, lines=lines))

    assert shown[:2] == ["BROKEN  two", "          ord_0: wrong"]
    assert len(shown) == wording.BREAKAGE_LINES_MAX + 1
    assert "11 more lines" in shown[-1]
