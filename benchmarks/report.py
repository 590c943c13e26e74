"""The report of a run: one HTML file that needs nothing else, for readers who have never seen the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from benchmarks import wording
from benchmarks.charts import draw, draw_latencies, draw_strip

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.result import Chart, LatencySummary, Measured, Report


def render_report(report: Report) -> str:
    """Returns the report as an HTML page without any reference to another host."""
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            broken=[scenario for scenario in report.scenarios if not scenario.audit.clean],
            asked=[goal for goal in report.goals if goal.relation != "report"],
        )
    )


def write_html(report: Report, path: Path) -> None:
    """Writes the report as an HTML page."""
    path.write_text(render_report(report), encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("benchmarks"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "number": wording.number,
        "median": wording.median,
        "spread": wording.spread,
        "reach": wording.reach,
        "verdict": wording.verdict,
        "breakage": wording.breakage,
        "chart": _chart,
        "latency_chart": _latency_chart,
        "strip": _strip,
        "gibibytes": lambda size: f"{size / 2**30:.1f} GiB",
        "duration": _duration,
    }
    environment.filters.update(filters)
    return environment


# What charts.py returns is markup of its own making, in which it escaped every text.
def _chart(chart: Chart) -> Markup:
    return Markup(draw(chart))  # noqa: S704 - see above


def _latency_chart(latencies: tuple[LatencySummary, ...]) -> Markup:
    return Markup(draw_latencies(latencies))  # noqa: S704 - see above


def _strip(measured: Measured) -> Markup:
    return Markup(draw_strip(measured))  # noqa: S704 - see above


def _duration(seconds: float) -> str:
    """`42 s`, `12 min 5 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
