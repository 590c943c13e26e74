"""The scenarios there are, in the order in which `all` runs them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from benchmarks.result import Scenario
    from benchmarks.scenario import Options, Run


class ScenarioModule(Protocol):
    """What each module of a scenario has; `benchmarks.scenario` says what for."""

    TITLE: str

    def steps(self, options: Options) -> int:
        """How many steps its progress has."""

    async def measure(self, run: Run) -> Scenario:
        """Measures, audits, and says what came of it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A scenario's module and its line in the help, which must not import them all."""

    module: str
    summary: str

    def load(self) -> ScenarioModule:
        """Imports it."""
        return cast("ScenarioModule", import_module(self.module))


SCENARIOS: Final = {
    "flash": Listed("benchmarks.flash", "one deal, many buyers: CPU, throughput and latency of a join"),
    "lifecycle": Listed("benchmarks.lifecycle", "whole orders, from the join to the money"),
    "links": Listed("benchmarks.links", "many groups by link: what a join costs when batches are small"),
    "stampede": Listed("benchmarks.stampede", "the last seats: exactly the stock is sold"),
    "refused": Listed("benchmarks.refused", "full, sold out, already in: what a refusal costs"),
    "overload": Listed(
        "benchmarks.overload", "three times too many: what still gets through, and what is told"
    ),
    "neighbours": Listed("benchmarks.neighbours", "joins beside 64 callers of anything else: what is left"),
    "watch": Listed("benchmarks.watch", "thousands looking on while others join"),
    "pages": Listed("benchmarks.pages", "the page behind a link, and its picture"),
    "grow": Listed("benchmarks.grow", "the same join in a small and in a large market"),
}
