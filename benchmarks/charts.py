"""Charts as SVG, drawn for a page that styles them: colours are classes, so that they follow light and dark.

Nothing here measures text; margins are wide enough for the labels the kit makes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.result import Chart, LatencySummary, Series
from benchmarks.wording import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.result import Measured

WIDTH: Final = 680
HEIGHT: Final = 300
LEFT: Final = 70
RIGHT: Final = 34
TOP: Final = 14
BOTTOM: Final = 58
COLOURS: Final = 6
TICKS_WANTED: Final = 5
# The share of a label's place that its bars fill.
BARS_FILL: Final = 0.7
# Points of a longer line are marked by no more than the line is wide.
MARKED_POINTS_MAX: Final = 30
STRIP_WIDTH: Final = 150
STRIP_HEIGHT: Final = 16

# A percentile's place on the axis is how many calls one of them stands for: 99 is 100, 99.9 is 1,000.
TAIL_MAX: Final = 100_000.0


class Axis(msgspec.Struct, frozen=True):
    """From a value to a place between 0 and 1, and the values worth a tick."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Returns where the value stands; what lies outside is put at the edge."""
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        at = math.log10(max(value, self.low)) if self.log else value
        return min(1.0, max(0.0, (at - low) / (high - low)))


def draw(chart: Chart) -> str:
    """Returns a chart as an `<svg>` element; a chart without a value says so."""
    if not any(series.ys for series in chart.series):
        return '<p class="quiet">Nothing was measured.</p>'
    return _draw_bars(chart) if chart.kind == "bar" else _draw_lines(chart)


def draw_latencies(latencies: Sequence[LatencySummary]) -> str:
    """Returns how latency rises towards the slowest calls, one line for each summary."""
    return _draw_lines(
        Chart(
            title="Latency by percentile",
            kind="line",
            x_label="percentile: how many of a hundred calls were answered within the time on the left",
            y_label="ms",
            series=tuple(
                Series(
                    name=summary.what,
                    xs=tuple(_tail(percentile) for percentile, _ in summary.points),
                    ys=tuple(latency_ms for _, latency_ms in summary.points),
                )
                for summary in latencies
            ),
            log_x=True,
            log_y=True,
        ),
        x_text=lambda tail: f"{100 - 100 / tail:.5g} %",
    )


def draw_strip(measured: Measured) -> str:
    """Returns each run's value as a dot on a line that begins at zero, and the median as a stroke."""
    top = max(*measured.values, 0.0, 1e-9) if len(measured.values) > 1 else max(measured.median, 1e-9)
    scale = (STRIP_WIDTH - 10) / top
    middle = STRIP_HEIGHT / 2
    dots = "".join(
        f'<circle class="dot" cx="{5 + max(value, 0) * scale:.1f}" cy="{middle}" r="3"/>'
        for value in measured.values
    )
    at = 5 + max(measured.median, 0) * scale
    said = f"median {number(measured.median)}, runs: {', '.join(number(value) for value in measured.values)}"
    return (
        f'<svg class="strip" viewBox="0 0 {STRIP_WIDTH} {STRIP_HEIGHT}" width="{STRIP_WIDTH}"'
        f' height="{STRIP_HEIGHT}" role="img" aria-label="{escape(said)}"><title>{escape(said)}</title>'
        f'<line class="axis" x1="5" x2="{STRIP_WIDTH - 5}" y1="{middle}" y2="{middle}"/>{dots}'
        f'<line class="median" x1="{at:.1f}" x2="{at:.1f}" y1="1" y2="{STRIP_HEIGHT - 1}"/></svg>'
    )


def axis_over(values: Iterable[float], *, log: bool) -> Axis:
    """Returns an axis that holds all `values`: from zero, or, if `log`, from the power of ten below."""
    kept = [value for value in values if value > 0 or not log]
    if log:
        low = 10.0 ** math.floor(math.log10(min(kept, default=1.0)))
        high = 10.0 ** math.ceil(math.log10(max(kept, default=10.0)))
        high = high if high > low else low * 10
        decades = round(math.log10(high / low))
        step = max(1, math.ceil(decades / TICKS_WANTED))
        return Axis(low, high, log, tuple(low * 10.0**power for power in range(0, decades + 1, step)))
    low, high = min(0.0, *kept, 0.0), max(0.0, *kept, 0.0)
    step_size = _nice_step((high - low) or 1.0)
    first, last = math.floor(low / step_size), math.ceil(high / step_size)
    last = max(last, first + 1)
    return Axis(
        first * step_size, last * step_size, log, tuple(index * step_size for index in range(first, last + 1))
    )


def _nice_step(span: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that makes no more ticks than wanted."""
    power = 10.0 ** math.floor(math.log10(span / TICKS_WANTED))
    return next(power * times for times in (1, 2, 5, 10) if power * times * TICKS_WANTED >= span * 0.999)


def _tail(percentile: float) -> float:
    return min(TAIL_MAX, 100 / max(100 - percentile, 1e-9))


def _tick_text(value: float) -> str:
    """Ticks are round numbers, and need no digits to say how exact they are."""
    return f"{value:,.9g}"


def _x(place: float) -> float:
    return LEFT + place * (WIDTH - LEFT - RIGHT)


def _y(place: float) -> float:
    return HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)


def _draw_lines(chart: Chart, *, x_text: Callable[[float], str] | None = None) -> str:
    x_text = x_text or _tick_text
    x_axis = axis_over((float(x) for series in chart.series for x in series.xs), log=chart.log_x)
    if not chart.log_x:
        x_axis = _close_around(x_axis, [float(x) for series in chart.series for x in series.xs])
    y_axis = axis_over((y for series in chart.series for y in series.ys), log=chart.log_y)
    parts = [_grid(y_axis)]
    parts += [_x_label(_x(x_axis.place(tick)), x_text(tick)) for tick in x_axis.ticks]
    for index, series in enumerate(chart.series):
        points = [
            (
                _x(x_axis.place(float(x))),
                _y(y_axis.place(y)),
                f"{x_text(float(x))}: {number(y)} {chart.y_label}",
            )
            for x, y in zip(series.xs, series.ys, strict=True)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        colour, radius = index % COLOURS, 2.5 if len(points) <= MARKED_POINTS_MAX else 1
        parts.append(f'<polyline class="line c{colour}" points="{path}"/>')
        parts += [
            f'<circle class="point c{colour}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">'
            f"<title>{escape(f'{series.name}, {said}')}</title></circle>"
            for x, y, said in points
        ]
    return _frame(chart, parts)


def _draw_bars(chart: Chart) -> str:
    labels = list(dict.fromkeys(str(x) for series in chart.series for x in series.xs))
    y_axis = axis_over((y for series in chart.series for y in series.ys), log=chart.log_y)
    parts = [_grid(y_axis)]
    place_width = (WIDTH - LEFT - RIGHT) / len(labels)
    bar_width = place_width * BARS_FILL / len(chart.series)
    for position, label in enumerate(labels):
        parts.append(_x_label(LEFT + place_width * (position + 0.5), label))
    for index, series in enumerate(chart.series):
        for x, y in zip(series.xs, series.ys, strict=True):
            left = LEFT + place_width * (labels.index(str(x)) + (1 - BARS_FILL) / 2) + bar_width * index
            top = _y(y_axis.place(y))
            said = escape(f"{series.name}, {x}: {number(y)} {chart.y_label}")
            parts.append(
                f'<rect class="bar c{index % COLOURS}" x="{left:.1f}" y="{top:.1f}" width="{bar_width:.1f}"'
                f' height="{_y(0) - top:.1f}"><title>{said}</title></rect>'
                f'<text class="value" x="{left + bar_width / 2:.1f}" y="{top - 3:.1f}">{number(y)}</text>'
            )
    return _frame(chart, parts)


def _close_around(axis: Axis, values: Sequence[float]) -> Axis:
    """The axis cut to the values: times of day and counts need not begin at zero."""
    low, high = min(values), max(values)
    if low <= axis.low or high <= low or low < (high - low) / 2:
        return axis
    step = _nice_step(high - low)
    first, last = math.floor(low / step), math.ceil(high / step)
    return Axis(first * step, last * step, axis.log, tuple(index * step for index in range(first, last + 1)))


def _grid(axis: Axis) -> str:
    lines = []
    for tick in axis.ticks:
        y = _y(axis.place(tick))
        lines.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick y" x="{LEFT - 6}" y="{y + 4:.1f}">{_tick_text(tick)}</text>'
        )
    return "".join(lines)


def _x_label(x: float, text: str) -> str:
    return f'<text class="tick x" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}">{escape(text)}</text>'


def _frame(chart: Chart, parts: Sequence[str]) -> str:
    """The drawing with its axes' names, and a legend where there is more than one line."""
    said = escape(f"{chart.title}: {chart.y_label} over {chart.x_label}")
    legend = ""
    if len(chart.series) > 1:
        entries = "".join(
            f'<li><span class="swatch c{index % COLOURS}"></span>{escape(series.name)}</li>'
            for index, series in enumerate(chart.series)
        )
        legend = f'<ul class="legend">{entries}</ul>'
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">{"".join(parts)}'
        f'<text class="name x" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 12}">'
        f'{escape(chart.x_label)}</text><text class="name y" transform="rotate(-90)"'
        f' x="{-(TOP + HEIGHT - BOTTOM) / 2:.0f}" y="14">{escape(chart.y_label)}</text></svg>{legend}'
    )
