"""What the runs of a scenario measured, by kind of call, and how it is told."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, Literal

from benchmarks.histogram import sum_of
from benchmarks.result import Chart, Figure, Series, measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.cpu import Cpu
    from benchmarks.generate import Outcome
    from benchmarks.result import LatencySummary, Measured

Part = Literal["api", "redis", "postgres", "workers", "total"]
PARTS: Final[Mapping[Part, str]] = {
    "api": "API",
    "redis": "Redis",
    "postgres": "Postgres",
    "workers": "workers",
    "total": "everything",
}


class Samples:
    """Figures of each run by kind of call; `labels` name the kinds for people."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._cpus: defaultdict[str, list[tuple[Cpu, int]]] = defaultdict(list)
        self._outcomes: defaultdict[str, list[Outcome]] = defaultdict(list)

    def add(self, kind: str, outcome: Outcome, cpu: Cpu) -> None:
        """Keeps what one phase came to."""
        self._cpus[kind].append((cpu, outcome.answered))
        self._outcomes[kind].append(outcome)

    def last(self, kind: str) -> Outcome:
        """What the latest phase of a kind came to."""
        return self._outcomes[kind][-1]

    def outcomes(self, kind: str) -> tuple[Outcome, ...]:
        """What the phases of a kind came to, in the order of the runs."""
        return tuple(self._outcomes[kind])

    def cpu_us(self, kind: str, part: Part) -> Measured:
        """CPU microseconds of a part per answered call."""
        return measured(
            "µs", [float(getattr(cpu, f"{part}_s")) / count * 1e6 for cpu, count in self._cpus[kind]]
        )

    def accepted_per_s(self, kind: str) -> Measured:
        """Answers below 400 a second."""
        return measured("/s", [outcome.accepted_per_s for outcome in self._outcomes[kind]])

    def answered_per_s(self, kind: str) -> Measured:
        """Answers a second, refusals included."""
        return measured("/s", [outcome.answered / outcome.took_s for outcome in self._outcomes[kind]])

    def client_us(self) -> Measured:
        """CPU microseconds of the load process per call: beyond 60 it would slow down what it measures."""
        outcomes = [outcome for kind in self._outcomes.values() for outcome in kind]
        return measured("µs", [outcome.client_cpu_s / outcome.answered * 1e6 for outcome in outcomes])

    def percentile_ms(self, kind: str, percentile: float) -> Measured:
        """A percentile of the latency of accepted calls, in each run."""
        return measured(
            "ms", [sum_of([outcome.accepted]).at_ms(percentile) for outcome in self._outcomes[kind]]
        )

    def latency(
        self, kind: str, *, arrivals: Literal["open", "closed"], refused: bool = False
    ) -> LatencySummary:
        """The latencies of all runs together, of accepted calls or of refused ones."""
        outcomes = self._outcomes[kind]
        encoded = [outcome.refused if refused else outcome.accepted for outcome in outcomes]
        rate_per_s = sum(outcome.answered for outcome in outcomes) / sum(
            outcome.took_s for outcome in outcomes
        )
        identifier = f"{kind}_{arrivals}{'_refused' if refused else ''}"
        loop = "open loop" if arrivals == "open" else "closed loop, at saturation"
        return sum_of(encoded).summary(
            identifier, f"{self._labels[kind]}, {loop}", arrivals=arrivals, rate_per_s=rate_per_s
        )

    def cpu_figures(
        self, kind: str, parts: Sequence[Part] = ("api", "redis", "postgres", "total")
    ) -> list[Figure]:
        """CPU per call of each part."""
        label = self._labels[kind]
        return [
            Figure(f"{kind}_{part}_us", f"{label}: CPU of {PARTS[part]}", self.cpu_us(kind, part))
            for part in parts
        ]

    def cpu_chart(self, kinds: Sequence[str], parts: Sequence[Part] = ("api", "redis", "postgres")) -> Chart:
        """Medians of CPU per call, side by side."""
        names = tuple(self._labels[kind] for kind in kinds)
        series = tuple(
            Series(PARTS[part], names, tuple(self.cpu_us(kind, part).median for kind in kinds))
            for part in parts
        )
        return Chart("CPU per call", "bar", "", "µs", series)
