"""The fault harness: `python -m benchmarks.chaos`, which `pintuan chaos` runs.

Prints a line for each seed and a summary. Exits 1 when a law was broken; then the history and the plan are in
a directory, and the command that replays the round is named.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import uvloop

from benchmarks.chaos.faults import KINDS
from benchmarks.chaos.plan import SHOPPERS_PER_SEED, describe, plan_round
from benchmarks.chaos.round import run_round
from benchmarks.chaos.site import Site, open_site
from benchmarks.chaos.tally import (
    EXIT_BROKEN,
    Tally,
    line_of,
    line_of_round,
    replay_command,
    shown,
    write_evidence,
)
from pintuan.running.supervisor.descriptors import allow_many_descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.chaos.plan import RoundPlan

TOGETHER: Final = 8
TOGETHER_MAX: Final = 64
ROUNDS_PER_MARKETPLACE: Final = 12
SHOPPERS_MAX: Final = 2_000
EXIT_INTERRUPTED: Final = 130
AUDIT_WAIT_S: Final = 180.0


class Run:
    """What was asked for, and what came of it so far."""

    def __init__(self, plans: Iterator[RoundPlan], options: Options) -> None:
        self._plans = plans
        self._options = options
        self._began_s = time.monotonic()
        self.tally = Tally()

    async def run(self) -> None:
        """Runs rounds until there are no more seeds or no more time; SIGTERM ends it as Ctrl-C does."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        more = True
        while more:
            directory = Path(tempfile.mkdtemp(prefix="pintuan-chaos-"))
            try:
                async with open_site(directory) as site:
                    self.tally.marketplaces += 1
                    more = await self._on_one_marketplace(site)
            finally:
                shutil.rmtree(directory, ignore_errors=True)

    @property
    def took_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began_s

    async def _on_one_marketplace(self, site: Site) -> bool:
        """Runs rounds until the marketplace has served its time or is broken; says whether there are more."""
        last: RoundPlan | None = None
        for _ in range(self._options.rounds_per_marketplace):
            plan = None if self._is_over() else next(self._plans, None)
            if plan is None:
                break
            last = plan
            if not await self._one_round(site, plan):
                return True
        if last is not None:
            await self._audit(site, last)
        return plan is not None

    async def _one_round(self, site: Site, plan: RoundPlan) -> bool:
        result = await run_round(site, plan)
        self.tally.add(plan, result)
        for seed in result.seeds:
            click.echo(line_of(plan, seed))
            for line in shown(seed.anomalies):
                click.secho(line, fg="red")
        click.echo(line_of_round(plan, result))
        if result.broken:
            command = replay_command(plan, self._options.shoppers, self._options.kinds)
            place = write_evidence(self._options.out, plan, result, command)
            shutil.copytree(site.directory / "log", place / "log", dirs_exist_ok=True)
            click.secho(f"the history is in {place}; again: {command}", fg="red")
        return not result.broken

    async def _audit(self, site: Site, last: RoundPlan) -> None:
        """Has `pintuan audit` look at everything this marketplace ever did."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pintuan", "audit"),
            env={**os.environ, **site.command_environment()},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(AUDIT_WAIT_S):
            output, _ = await process.communicate()
        self.tally.audits += 1
        if process.returncode:
            said = output.decode(errors="replace")
            seeds = f"up to seed {last.seeds[-1].seed}"
            self.tally.anomalies.append(f"audit, {seeds}: {said}")
            place = self._options.out / f"audit-{last.first_seed}"
            shutil.copytree(site.directory / "log", place / "log", dirs_exist_ok=True)
            (place / "audit.txt").write_text(said, encoding="utf-8")
            click.secho(f"the audit {seeds} exited with {process.returncode}; see {place}\n{said}", fg="red")

    def _is_over(self) -> bool:
        return self._options.seconds is not None and self.took_s >= self._options.seconds


class Options:
    """The command line."""

    def __init__(
        self,
        *,
        seconds: float | None,
        shoppers: int,
        kinds: tuple[str, ...],
        out: Path,
        rounds_per_marketplace: int,
    ) -> None:
        self.seconds = seconds
        self.shoppers = shoppers
        self.kinds = kinds
        self.out = out
        self.rounds_per_marketplace = rounds_per_marketplace


@click.command(name="chaos", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The first seed.")
@click.option(
    "--seeds", type=click.IntRange(min=1), help="How many.  [default: 8, or as many as the time allows]"
)
@click.option("--seconds", type=click.FloatRange(min=0), help="Begin no further round after this long.")
@click.option(
    "--together",
    type=click.IntRange(1, TOGETHER_MAX),
    default=TOGETHER,
    show_default=True,
    help="Seeds that share a round and its faults.",
)
@click.option(
    "--shoppers",
    type=click.IntRange(1, SHOPPERS_MAX),
    default=SHOPPERS_PER_SEED,
    show_default=True,
    help="Of each seed.",
)
@click.option(
    "--fault",
    "kinds",
    multiple=True,
    type=click.Choice(list(KINDS)),
    help="These faults in every round, not drawn ones.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=ROUNDS_PER_MARKETPLACE,
    show_default=True,
    help="Rounds until a fresh marketplace is started.",
)
@click.option("--plan", "only_plan", is_flag=True, help="Print the plan and run nothing.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("chaos-results"),
    show_default=True,
    help="Where the history of what went wrong goes.",
)
@click.pass_context
def main(
    context: click.Context,
    *,
    seed: int,
    seeds: int | None,
    seconds: float | None,
    together: int,
    shoppers: int,
    kinds: tuple[str, ...],
    rounds: int,
    only_plan: bool,
    out: Path,
) -> None:
    """Harm a marketplace of its own in every way it knows, and check that it kept its promises."""
    count = seeds if seeds is not None or seconds is not None else TOGETHER
    plans = (
        plan_round(numbers, shoppers=shoppers, kinds=kinds) for numbers in rounds_of(seed, count, together)
    )
    if only_plan:
        for plan in itertools.islice(plans, None if seeds is not None else 1):
            click.echo("\n".join(describe(plan)))
        return
    allow_many_descriptors()
    options = Options(seconds=seconds, shoppers=shoppers, kinds=kinds, out=out, rounds_per_marketplace=rounds)
    run = Run(plans, options)
    code = 0
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run.run())
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = EXIT_INTERRUPTED
    for line in run.tally.summary(run.took_s):
        click.echo(line)
    context.exit(EXIT_BROKEN if run.tally.anomalies else code)


def rounds_of(first: int, count: int | None, together: int) -> Iterator[Sequence[int]]:
    """Yields the seeds of each round, `together` at a time; without a count they never end."""
    end = None if count is None else first + count
    for start in itertools.count(first, together):
        if end is not None and start >= end:
            return
        yield range(start, start + together if end is None else min(start + together, end))


if __name__ == "__main__":
    main(prog_name="pintuan chaos")
