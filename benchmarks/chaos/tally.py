"""Adds up what rounds did, and says it: a line for each seed, a summary, files about what went wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.chaos.laws import is_left_out
from benchmarks.chaos.plan import describe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.chaos.history import Outcome, Verb
    from benchmarks.chaos.laws import Anomaly
    from benchmarks.chaos.plan import RoundPlan
    from benchmarks.chaos.round import RoundResult, SeedResult

OUTCOMES: Final[tuple[Outcome, ...]] = ("ok", "refused", "unknown")
ANOMALIES_SHOWN_MAX: Final = 20
EXIT_BROKEN: Final = 1


@dataclass
class Tally:
    """Sums over all rounds."""

    seeds: int = 0
    orders: int = 0
    groups: int = 0
    left_out: int = 0
    audits: int = 0
    marketplaces: int = 0
    operations: Counter[tuple[Verb, Outcome]] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    anomalies: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many operations there were: calls, and states that streams showed."""
        return self.operations.total()

    def add(self, plan: RoundPlan, result: RoundResult) -> None:
        """Adds a round."""
        self.skipped |= result.skipped
        self.faults.update(fault.kind for fault in plan.faults if fault.kind not in result.skipped)
        for seed in result.seeds:
            self.seeds += 1
            self.operations.update((call.verb, call.outcome) for call in seed.history.calls)
            self.anomalies += [f"seed {seed.seed}: {anomaly}" for anomaly in seed.anomalies]
            if seed.books is not None:
                self.orders += len(seed.books.orders)
                self.groups += len(seed.books.groups)
                groups = {group.id: group for group in seed.books.groups}
                self.left_out += sum(
                    order.status == "expired" and is_left_out(order, groups.get(order.group_id or ""))
                    for order in seed.books.orders
                )

    def summary(self, took_s: float) -> Iterator[str]:
        """Yields the lines that end a run."""
        rate_per_s = self.count / max(took_s, 1)
        yield f"{self.seeds} seeds, {self.count:,} operations in {took_s:.0f} s ({rate_per_s:.0f} a second)"
        yield (
            f"  {self.orders:,} orders in {self.groups:,} groups on {self.marketplaces} marketplaces; "
            f"{self.left_out} were not paid for in the ten seconds a closed group waits"
        )
        yield f"  {'operations':12}" + "".join(f"{outcome:>12}" for outcome in OUTCOMES)
        for verb in sorted({verb for verb, _ in self.operations}):
            counts = (self.operations[verb, outcome] for outcome in OUTCOMES)
            yield f"  {verb:12}" + "".join(f"{count:12,}" for count in counts)
        yield "  faults: " + ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items()))
        for kind, why in sorted(self.skipped.items()):
            yield f"  skipped here: {kind}, {why}"
        yield f"  audits: {self.audits}; anomalies: {len(self.anomalies)}"


def line_of(plan: RoundPlan, result: SeedResult) -> str:
    """Returns what is said of one seed: counts, its round's faults, and whether every law was kept."""
    calls = Counter(call.outcome for call in result.history.calls)
    said = ", ".join(f"{calls[outcome]} {outcome}" for outcome in OUTCOMES)
    orders = (
        "no books"
        if result.books is None
        else f"{len(result.books.orders)} orders, {len(result.books.groups)} groups"
    )
    faults = " ".join(fault.kind for fault in plan.faults)
    verdict = f"{len(result.anomalies)} ANOMALIES" if result.anomalies else "clean"
    return (
        f"seed {result.seed}: {len(result.history.calls)} operations ({said}), {orders}; {faults}: {verdict}"
    )


def line_of_round(plan: RoundPlan, result: RoundResult) -> str:
    """Returns what is said of a round: how many operations it made, and in what time."""
    count = sum(len(seed.history.calls) for seed in result.seeds)
    return f"round of {len(plan.seeds)} seeds: {count:,} operations in {result.took_s:.0f} s"


def replay_command(plan: RoundPlan, shoppers: int, kinds: tuple[str, ...]) -> str:
    """Returns the command that makes a round's plan happen again."""
    count = len(plan.seeds)
    chosen = "".join(f" --fault {kind}" for kind in kinds)
    seeds = f"--seed {plan.first_seed} --seeds {count} --together {count}"
    return f"pintuan chaos {seeds} --shoppers {shoppers}{chosen}"


def write_evidence(directory: Path, plan: RoundPlan, result: RoundResult, command: str) -> Path:
    """Writes plan, histories, books and anomalies of a round; returns where they are."""
    place = directory / f"seed-{plan.first_seed}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "plan.txt").write_text("\n".join([command, *describe(plan), ""]), encoding="utf-8")
    (place / "plan.json").write_bytes(msgspec.json.encode(plan))
    for seed in result.seeds:
        lines = b"\n".join(msgspec.json.encode(call) for call in seed.history.calls)
        (place / f"history-{seed.seed}.jsonl").write_bytes(lines)
        if seed.books is not None:
            (place / f"books-{seed.seed}.json").write_bytes(msgspec.json.encode(seed.books))
        text = "".join(f"{anomaly}\n" for anomaly in seed.anomalies)
        (place / f"anomalies-{seed.seed}.txt").write_text(text, encoding="utf-8")
    return place


def shown(anomalies: list[Anomaly]) -> list[str]:
    """Returns what is printed of a seed's anomalies; all of them are in its files."""
    rest = len(anomalies) - ANOMALIES_SHOWN_MAX
    lines = [f"  {anomaly}" for anomaly in anomalies[:ANOMALIES_SHOWN_MAX]]
    return [*lines, f"  and {rest} more"] if rest > 0 else lines
