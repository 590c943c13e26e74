"""What a scenario is: a module with `TITLE`, `steps` and `measure`.

    TITLE: Final = "One deal, many buyers"
    def steps(options: Options) -> int                      how many steps its progress has
    async def measure(run: Run) -> Scenario                 measures, audits, and says what came of it

`benchmarks/scenarios.py` lists them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.generate import Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RUNS_MIN: Final = 1
RUNS_DEFAULT: Final = 7
QUICK_RUNS: Final = 3
CONNECTIONS: Final = 128


@dataclass(frozen=True, slots=True)
class Options:
    """How much to measure: `runs` interleaved repetitions; `quick` ones are short, their figures rough."""

    runs: int = RUNS_DEFAULT
    quick: bool = False
    connections: int = CONNECTIONS

    def count(self, full: int) -> int:
        """How many calls a phase makes, of `full` in a whole run."""
        return max(1, full // 4) if self.quick else full


@dataclass(frozen=True, slots=True)
class Run:
    """What a scenario gets: options, an empty directory of its own, and whom to tell of each step."""

    options: Options
    directory: Path
    on_step: Callable[[str], None] = field(default=lambda _: None)


class UnexpectedAnswersError(Exception):
    """A phase was answered otherwise than its scenario expects, so that its figures mean nothing."""


def closed(port: int, requests: list[bytes], options: Options, *, count: int | None = None) -> Phase:
    """Returns a closed loop over the options' connections; each request is sent once without `count`."""
    return Phase(port=port, requests=requests, count=count or len(requests), connections=options.connections)


def require_only(outcome: Outcome, expected: Sequence[int], what: str) -> None:
    """Raises UnexpectedAnswersError unless every call of a phase was answered by one of these statuses."""
    odd = {status: count for status, count in outcome.statuses.items() if status not in expected}
    if odd or outcome.unanswered:
        said = ", ".join(f"{count} times {status or 'a lost connection'}" for status, count in odd.items())
        raise UnexpectedAnswersError(
            f"{what}: {said or 'no other answers'}, {outcome.unanswered} unanswered"
            + "".join(f"\n  {sample}" for sample in outcome.samples)
        )
