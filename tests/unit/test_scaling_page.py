"""The page on scaling follows from its own figures, so that new ones leave no old conclusion standing."""

from __future__ import annotations

import math
import re

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
