"""The charts of the report."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from benchmarks.charts import HEIGHT, WIDTH, axis_over, draw, draw_latencies, draw_strip
from benchmarks.result import Chart, Series, measured
from tests.unit.benchmarks.sample import BARS, LATENCY, LINES

NUMBER = r"(-?[\d.]+)"


@dataclass(frozen=True)
class Point:
    x: float
    y: float


def points_of(svg: str) -> list[list[Point]]:
    """The points of each line, in the order of the legend."""
    return [
        [Point(*map(float, pair.split(","))) for pair in line.split()]
        for line in re.findall(r'<polyline[^>]*points="([^"]*)"', svg)
    ]


@pytest.mark.parametrize(
    ("values", "log", "ticks"),
    [
        ([0, 10], False, (0, 2, 4, 6, 8, 10)),
        ([3, 7], False, (0, 2, 4, 6, 8)),
        ([-4, 6], False, (-4, -2, 0, 2, 4, 6)),
        ([0], False, (0, 0.2)),
        ([2, 900], True, (1, 10, 100, 1000)),
        ([10, 10], True, (10, 100)),
    ],
)
def test_an_axis_holds_all_values_between_round_ticks(
    values: list[float], log: bool, ticks: tuple[float, ...]
) -> None:
    axis = axis_over(values, log=log)

    assert axis.ticks == pytest.approx(ticks)
    assert all(axis.low <= value <= axis.high for value in values)


def test_a_line_rises_with_its_values_and_stays_inside_the_drawing() -> None:
    joined, seen = points_of(draw(LINES))

    assert [point.x for point in joined] == sorted(point.x for point in joined)
    assert joined[0].y > joined[1].y > joined[2].y
    assert seen[1].y > joined[1].y
    assert all(0 < point.x < WIDTH and 0 < point.y < HEIGHT for point in joined + seen)


def test_a_chart_of_several_lines_has_a_legend_and_one_of_one_has_none() -> None:
    assert '<ul class="legend">' in draw(LINES)
    assert '<ul class="legend">' not in draw(BARS)


def test_bars_are_as_high_as_their_values() -> None:
    heights = [float(found) for found in re.findall(rf'<rect[^>]*height="{NUMBER}"', draw(BARS))]

    assert heights[0] / heights[1] == pytest.approx(150 / 19, rel=0.02)


def test_latencies_are_spread_by_how_rare_they_are() -> None:
    ((p50, p90, p99, p999, worst),) = points_of(draw_latencies([LATENCY]))

    assert p99.x - p90.x == pytest.approx(p999.x - p99.x, abs=0.5)
    assert p50.x < p90.x < p999.x < worst.x
    assert p50.y > p99.y > worst.y


def test_a_strip_has_a_dot_for_each_run() -> None:
    strip = draw_strip(measured("ms", (1.0, 2.0, 4.0)))

    dots = [float(found) for found in re.findall(rf'<circle[^>]*cx="{NUMBER}"', strip)]
    assert len(dots) == 3
    assert dots[2] - 5 == pytest.approx(4 * (dots[0] - 5), rel=0.05)


def test_a_strip_of_nothing_but_zero_can_be_drawn() -> None:
    assert "median 0.00" in draw_strip(measured("statements", (0.0, 0.0)))


def test_a_chart_without_a_value_says_so() -> None:
    empty = Chart("t", "line", "x", "y", (Series("a", (), ()),))

    assert "Nothing was measured" in draw(empty)
