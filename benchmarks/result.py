"""What a run of the load kit says: `result.json` is a `Report`; all that is printed or drawn comes from one.

Report ─┬─ Machine, versions, settings
        ├─ Goal …                     the table of goals, gathered from the scenarios
        └─ Scenario ─┬─ Figure …      a number, measured in several runs
                     ├─ LatencySummary …
                     ├─ Chart ── Series …
                     ├─ Goal …
                     └─ Audit         what `pintuan audit` said afterwards
"""

from __future__ import annotations

import statistics
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Relation = Literal["at_most", "at_least", "report"]


class Measured(msgspec.Struct, frozen=True):
    """A figure measured once in each run: the runs' values in `unit`, and what they come to."""

    unit: str
    values: tuple[float, ...]
    median: float
    low: float
    high: float


class Goal(msgspec.Struct, frozen=True):
    """A figure to reach: `measured`'s median stands in `relation` to `reach`, in `measured`'s unit.

    `relation` `report` has no `reach` and asks for nothing but the figure; then `holds` is None. Without a
    measurement `holds` is False.
    """

    id: str
    what: str
    relation: Relation
    reach: float | None
    unit: str
    measured: Measured | None
    holds: bool | None


class Figure(msgspec.Struct, frozen=True):
    """A number worth showing that is no goal: `id` for programs, `what` for people."""

    id: str
    what: str
    measured: Measured


class LatencySummary(msgspec.Struct, frozen=True):
    """Latencies in milliseconds, counted from the moment a call was due (open loop) or sent (closed loop).

    `points` are (percentile, milliseconds) with rising percentiles up to 100, for plots. `arrivals` says how
    calls came: `open` loops wait for nobody, so that a stall is counted against every call it delayed.
    """

    id: str
    what: str
    arrivals: Literal["open", "closed"]
    count: int
    rate_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    points: tuple[tuple[float, float], ...]


class Series(msgspec.Struct, frozen=True):
    """One line or one set of bars of a chart; `xs` are numbers, or labels of bars."""

    name: str
    xs: tuple[float | str, ...]
    ys: tuple[float, ...]


class Chart(msgspec.Struct, frozen=True):
    """A plot for the report."""

    title: str
    kind: Literal["line", "bar"]
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_x: bool = False
    log_y: bool = False


class Audit(msgspec.Struct, frozen=True):
    """What `pintuan audit` printed after a scenario: one that is not clean failed, however fast it was."""

    clean: bool
    lines: tuple[str, ...]


class Scenario(msgspec.Struct, frozen=True):
    """What one scenario found; `notes` say what a reader must know to judge its figures."""

    name: str
    title: str
    took_s: float
    runs: int
    audit: Audit
    figures: tuple[Figure, ...] = ()
    goals: tuple[Goal, ...] = ()
    latencies: tuple[LatencySummary, ...] = ()
    charts: tuple[Chart, ...] = ()
    notes: tuple[str, ...] = ()


class Machine(msgspec.Struct, frozen=True):
    """Where a run took place; `load_1m` is the load average before it began, so that a busy machine shows."""

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    load_1m: float


class Report(msgspec.Struct, frozen=True):
    """A whole run. `settings` are the servers' settings that differ from the defaults, without secrets.

    `failures` say which scenarios could not be measured, and why; their goals are missing.
    """

    command: str
    started_at: datetime
    took_s: float
    quick: bool
    machine: Machine
    versions: dict[str, str]
    settings: dict[str, str]
    goals: tuple[Goal, ...]
    scenarios: tuple[Scenario, ...]
    failures: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether every scenario left the books in order."""
        return all(scenario.audit.clean for scenario in self.scenarios)


def measured(unit: str, values: Iterable[float]) -> Measured:
    """Returns the runs' `values`, which must not be empty, with their median and spread."""
    kept = tuple(values)
    return Measured(unit, kept, statistics.median(kept), min(kept), max(kept))


def ratios(above: Measured, below: Measured) -> Measured:
    """Returns `above` ÷ `below` run by run: both were measured in each run, in the same order."""
    return measured("", [a / b for a, b in zip(above.values, below.values, strict=True)])


def at_most(identifier: str, what: str, reach: float, value: Measured) -> Goal:
    """A goal whose figure must not be above `reach`."""
    return Goal(identifier, what, "at_most", reach, value.unit, value, value.median <= reach)


def at_least(identifier: str, what: str, reach: float, value: Measured) -> Goal:
    """A goal whose figure must not be below `reach`."""
    return Goal(identifier, what, "at_least", reach, value.unit, value, value.median >= reach)


def reported(identifier: str, what: str, value: Measured) -> Goal:
    """A row of the table of goals that asks for nothing but the figure."""
    return Goal(identifier, what, "report", None, value.unit, value, None)


def write_report(report: Report, path: Path) -> None:
    """Writes `report` as indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def read_report(path: Path) -> Report:
    """Reads what `write_report` wrote. Raises `msgspec.ValidationError` for another file."""
    return msgspec.json.decode(path.read_bytes(), type=Report)
