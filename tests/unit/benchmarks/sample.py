"""A report as a run would make it, for the tests of what shows one."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from benchmarks.result import (
    Audit,
    Chart,
    Figure,
    LatencySummary,
    Machine,
    Report,
    Scenario,
    Series,
    at_least,
    at_most,
    measured,
    reported,
)

CLEAN = Audit(clean=True, lines=("17 checks, 0 broken",))
GOALS = (
    at_most("api_cpu", "API CPU per join ÷ hello", 0.7, measured("", (0.61, 0.58, 0.66))),
    at_least("naive", "throughput against the naive design", 5.0, measured("", (4.2, 4.4, 4.3))),
    reported("links", "API CPU per join over 2,000 deals", measured("µs", (181.0, 177.0, 190.0))),
)
LATENCY = LatencySummary(
    id="half",
    what="joins at half of the saturation rate",
    arrivals="open",
    count=12_000,
    rate_per_s=2_000.0,
    p50_ms=3.1,
    p90_ms=6.0,
    p99_ms=14.2,
    p999_ms=30.5,
    max_ms=44.0,
    points=((50.0, 3.1), (90.0, 6.0), (99.0, 14.2), (99.9, 30.5), (100.0, 44.0)),
)
LINES = Chart(
    title="Headcount over time",
    kind="line",
    x_label="s",
    y_label="members",
    series=(
        Series("joined", (0.0, 1.0, 2.0), (0.0, 900.0, 1800.0)),
        Series("seen", (0.0, 1.0, 2.0), (0.0, 800.0, 1800.0)),
    ),
)
BARS = Chart(
    title="CPU per join",
    kind="bar",
    x_label="process",
    y_label="µs",
    series=(Series("join", ("API", "Redis"), (150.0, 19.0)),),
)


def sample_report() -> Report:
    """One scenario with everything a scenario may have."""
    flash = Scenario(
        name="flash",
        title="A flash sale",
        took_s=61.0,
        runs=3,
        audit=CLEAN,
        figures=(Figure("api_us", "API CPU per join", measured("µs", (151.0, 149.0, 155.0))),),
        goals=GOALS,
        latencies=(LATENCY,),
        charts=(LINES, BARS),
        notes=("The generator had a core of its own.",),
    )
    return Report(
        command="pintuan bench flash",
        started_at=datetime(2030, 1, 1, 12, tzinfo=UTC),
        took_s=62.5,
        quick=False,
        machine=Machine("Some processor", 2, 8 * 2**30, "Linux 6.1", 0.1),
        versions={"Python": "3.11.9", "PostgreSQL": "16.2"},
        settings={"PINTUAN_LOG_LEVEL": "warning"},
        goals=GOALS,
        scenarios=(flash,),
    )


def broken_report() -> Report:
    """The same run, after which the audit found something."""
    report = sample_report()
    audit = Audit(
        clean=False, lines=("BROKEN  1, 3: live seats are distinct and within capacity", "  grp_1: 11")
    )
    scenario = msgspec.structs.replace(report.scenarios[0], audit=audit)
    return msgspec.structs.replace(report, scenarios=(scenario,))
