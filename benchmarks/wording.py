"""How numbers of the load kit are shown, alike in the terminal and in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from benchmarks.result import Audit, Goal, Measured

BREAKAGE_LINES_MAX: Final = 40
_SIGNS: Final = {"at_most": "≤", "at_least": "≥"}


def number(value: float) -> str:
    """Returns a number with three significant digits, thousands told apart: `0.613`, `12.4`, `4,310`."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 or size == 0 else f"{value:.3g}"


def with_unit(value: float, unit: str) -> str:
    """Returns a number with its unit; a ratio has none."""
    return f"{number(value)} {unit}".rstrip()


def median(measured: Measured | None) -> str:
    """Returns the median with its unit, or a dash for what was not measured."""
    return "–" if measured is None else with_unit(measured.median, measured.unit)


def spread(measured: Measured | None) -> str:
    """Returns the lowest and the highest value; nothing where there was one run or none."""
    if measured is None or len(measured.values) == 1:
        return ""
    return f"{number(measured.low)} … {number(measured.high)}"


def reach(goal: Goal) -> str:
    """Returns what a goal asks for: `≤ 0.7`, or `report` where it only asks for the figure."""
    if goal.reach is None or goal.relation == "report":
        return "report"
    return f"{_SIGNS[goal.relation]} {with_unit(goal.reach, goal.unit)}"


def verdict(goal: Goal) -> str:
    """Returns one word on a goal."""
    if goal.measured is None:
        return "not measured"
    if goal.holds is None:
        return "reported"
    return "holds" if goal.holds else "missed"


def breakage(audit: Audit) -> list[str]:
    """Returns what an audit found broken, as much of it as a person reads."""
    lines = [line for line in audit.lines if not line.startswith("ok ")]
    shown, rest = lines[:BREAKAGE_LINES_MAX], len(lines) - BREAKAGE_LINES_MAX
    return [*shown, f"… and {rest} more lines; `result.json` has them all"] if rest > 0 else shown
