"""The page on scaling follows from its own figures, so that new ones leave no old conclusion standing."""

from __future__ import annotations

import math
import re

from pintuan.http.fair_share.limits import (
    CONNECTIONS,
    CONNECTIONS_PER_API_PROCESS,
    CONNECTIONS_PER_WORKER,
    connections_for,
)
from tests.documents import text_of

PAGE = "docs/scaling.md"
BUSY = 0.6
"""The part of a core that is planned with; the page says so."""
SCENARIO = re.compile(r"`(flash|links|lifecycle)`")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table in the section of this heading."""
    section = text_of(PAGE).split(f"## {heading}\n")[1].split("\n## ")[0]
    table = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in table[2:]]


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


def test_cores_follow_from_costs() -> None:
    costs_us: dict[str, list[int]] = {}
    for what, *cells in rows("What one order costs"):
        scenario = SCENARIO.search(what)
        assert scenario is not None, what
        costs_us[scenario[0]] = [number(cell) for cell in cells]
    assert len(costs_us) == 3
    assert f"÷ {BUSY}" in text_of(PAGE)
    needed = rows("Cores for a rate")
    assert len(needed) == 3 * len(costs_us)
    for rate, what, *cells in needed:
        per_s = number(rate)
        cores = [math.ceil(round(per_s * cost_us / 1e6 / BUSY, 6)) for cost_us in costs_us[what]]
        assert [number(cell) for cell in cells] == cores, f"{rate} a second of {what}"


def test_connections_are_those_that_processes_have() -> None:
    cells = rows("Connections to Postgres")
    kinds = [number(row[1]) for row in cells if len(row) == 2 and row[1].isdigit()]
    sums = [[number(cell) for cell in row] for row in cells if len(row) == 3 and row[0].isdigit()]

    assert sorted(kinds) == sorted(CONNECTIONS.values())
    assert f"up to {CONNECTIONS_PER_API_PROCESS}," in text_of(PAGE)
    assert f"has up to {CONNECTIONS_PER_WORKER}." in text_of(PAGE)
    assert len(sums) == 3
    for api_processes, workers, count in sums:
        assert count == connections_for(api_processes=api_processes, workers=workers)
