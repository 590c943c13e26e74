"""Figures and goals of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from benchmarks.result import at_least, at_most, measured, ratios, read_report, reported, write_report
from tests.unit.benchmarks.sample import sample_report

if TYPE_CHECKING:
    from pathlib import Path


def test_a_figure_tells_the_median_of_its_runs_and_their_spread() -> None:
    figure = measured("µs", [5.0, 1.0, 3.0])

    assert (figure.median, figure.low, figure.high) == (3.0, 1.0, 5.0)
    assert figure.values == (5.0, 1.0, 3.0)


def test_a_ratio_is_taken_run_by_run_and_not_of_the_medians() -> None:
    ratio = ratios(measured("µs", [10.0, 20.0, 90.0]), measured("µs", [10.0, 40.0, 30.0]))

    assert ratio.values == (1.0, 0.5, 3.0)
    assert ratio.unit == ""


def test_figures_of_different_runs_have_no_ratio() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios(measured("µs", [1.0, 2.0]), measured("µs", [1.0]))


@pytest.mark.parametrize(("value", "low_enough", "high_enough"), [(0.6, True, False), (0.7, True, True)])
def test_a_goal_holds_on_its_own_side_of_the_reach(
    value: float, *, low_enough: bool, high_enough: bool
) -> None:
    figure = measured("", [value])

    assert at_most("a", "A", 0.7, figure).holds is low_enough
    assert at_least("b", "B", 0.7, figure).holds is high_enough
    assert reported("c", "C", figure).holds is None


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    report, path = sample_report(), tmp_path / "result.json"

    write_report(report, path)

    assert read_report(path) == report


def test_another_file_is_no_report(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text('{"command": 7}')

    with pytest.raises(msgspec.ValidationError):
        read_report(path)
