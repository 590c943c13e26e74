"""*watch*: thousands of people look at one group while others join it, all on one API process.

Each run starts a fresh API process and has buyers join the same group twice, with nobody looking on and with
all watchers connected; which comes first changes from run to run. The watchers are a process of their own.
Meanwhile the kit reads the group now and then: what it read must have been shown by every stream soon after.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Final

from benchmarks.cpu import memory_bytes
from benchmarks.environment import open_stores, serving
from benchmarks.market import client_of, group_joins, open_market
from benchmarks.result import Chart, Figure, Goal, Scenario, Series, at_least, at_most, measured, ratios
from benchmarks.scenario import closed, require_only
from benchmarks.watcher_process import watching
from benchmarks.watchers import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.environment import Servers
    from benchmarks.market import Market
    from benchmarks.scenario import Options, Run
    from benchmarks.watchers import Floor, Seen

TITLE: Final = "Thousands looking on"
WATCHERS: Final = 5_000
JOINS: Final = 8_000
WARM_UP_JOINS: Final = 400
GROUP_SEATS: Final = 100_000
LOOK_S: Final = 0.1
# After the last join: longer than the goal, so that a late state is told from one that never comes.
LAST_STATE_WAIT_S: Final = 3.0
SEEN_REACH_S: Final = 2.0
MEMORY_REACH_KIB: Final = 30.0
JOINS_REACH: Final = 0.8
SETTINGS: Final = {"PINTUAN_STREAMS_PER_ADDRESS": "20000"}
NOTES: Final = (
    "Watchers and load share a core of their own; API, Redis and Postgres have the others. What the watchers "
    "take of their core is among the figures: near 100 %, it would be what slows everything down.",
    "A lag counts from when the kit asked for the group, not from when it got the answer, until the last of "
    "all streams had shown as many members; the worst of a run's looks is the run's value.",
    "Memory is what the API process grew by from before the first watcher until all had shown a first state.",
    "The setting for streams of one client address is raised, because all watchers have the same.",
)


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the group: it had at least `members` when it was asked for, at `moment_s`."""

    members: int
    moment_s: float


@dataclass(slots=True)
class Samples:
    """What the runs measured, one value a run; the curves of the last one."""

    alone_per_s: list[float] = field(default_factory=list)
    watched_per_s: list[float] = field(default_factory=list)
    alone_us: list[float] = field(default_factory=list)
    watched_us: list[float] = field(default_factory=list)
    lag_s: list[float] = field(default_factory=list)
    connect_s: list[float] = field(default_factory=list)
    memory_kib: list[float] = field(default_factory=list)
    states: list[float] = field(default_factory=list)
    watchers_share: list[float] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    floors: list[Floor] = field(default_factory=list)


def steps(options: Options) -> int:
    """One for each run."""
    return options.runs


async def measure(run: Run) -> Scenario:
    """Measures, audits, and says what came of it. Raises LoadError and UnexpectedAnswersError."""
    began_s, samples, count = perf_counter(), Samples(), run.options.count(WATCHERS)
    async with open_stores(run.directory, SETTINGS) as stores:
        for number in range(run.options.runs):
            async with serving(stores) as servers, client_of(servers) as http:
                turn = Turn(servers, await open_market(servers, http), run.options, samples, number)
                await turn.take(count)
            run.on_step(f"run {number + 1} of {run.options.runs}")
        audit = await stores.audit()
    return Scenario(
        name="watch",
        title=TITLE,
        took_s=perf_counter() - began_s,
        runs=run.options.runs,
        audit=audit,
        figures=_figures(samples),
        goals=_goals(samples, count),
        charts=(_chart(samples),),
        notes=NOTES,
    )


@dataclass(frozen=True, slots=True)
class Turn:
    """One run, on an API process of its own."""

    servers: Servers
    market: Market
    options: Options
    samples: Samples
    number: int

    async def take(self, watchers: int) -> None:
        """Measures joins alone and joins watched."""
        deal_id = await self.market.new_deal(max_headcount=GROUP_SEATS)
        (leader,) = self.market.tokens(f"leader-{self.number}", 1)
        group_id = await self.market.new_group(deal_id, leader)
        await self._join(group_id, "warm-up", WARM_UP_JOINS)
        if self.number % 2 == 0:
            await self._alone(group_id)
            await self._watched(group_id, watchers)
        else:
            await self._watched(group_id, watchers)
            await self._alone(group_id)

    async def _alone(self, group_id: str) -> None:
        rate_per_s, cpu_us = await self._join(group_id, "alone", self.options.count(JOINS))
        self.samples.alone_per_s.append(rate_per_s)
        self.samples.alone_us.append(cpu_us)

    async def _watched(self, group_id: str, watchers: int) -> None:
        servers, samples = self.servers, self.samples
        before = _api_memory_bytes(servers)
        watch = Watch(servers.port, group_id, watchers)
        async with watching(watch, servers.stores.cores.load) as process:
            samples.memory_kib.append((_api_memory_bytes(servers) - before) / watchers / 1024)
            samples.connect_s.append(process.connected.took_s)
            began_s = time.monotonic()
            async with self._looking(group_id) as looks:
                rate_per_s, cpu_us = await self._join(group_id, "watched", self.options.count(JOINS))
            looks.append(await self._look(group_id))
            await asyncio.sleep(LAST_STATE_WAIT_S)
            seen = await process.seen()
        samples.watched_per_s.append(rate_per_s)
        samples.watched_us.append(cpu_us)
        self._note(looks, seen, watchers, looks[-1].moment_s - began_s)

    def _note(self, looks: list[Look], seen: Seen, watchers: int, joined_s: float) -> None:
        samples = self.samples
        samples.lag_s.append(max(lag_s(look, seen.floors) for look in looks))
        samples.states.append(seen.states / watchers)
        samples.watchers_share.append(seen.cpu_s / joined_s * 100)
        samples.looks, samples.floors = looks, seen.floors

    async def _join(self, group_id: str, label: str, count: int) -> tuple[float, float]:
        """Returns joins a second, and the API's CPU microseconds for each."""
        tokens = self.market.tokens(f"{label}-{self.number}", count)
        phase = closed(self.servers.port, group_joins([group_id], tokens), self.options)
        outcome, cpu = await self.servers.load(phase)
        require_only(outcome, (201,), label)
        return outcome.accepted_per_s, cpu.api_s / count * 1e6

    @asynccontextmanager
    async def _looking(self, group_id: str) -> AsyncIterator[list[Look]]:
        """Looks at the group now and then during the block."""
        looks: list[Look] = []

        async def look_on() -> None:
            while True:
                looks.append(await self._look(group_id))
                await asyncio.sleep(LOOK_S)

        task = asyncio.create_task(look_on())
        try:
            yield looks
        finally:
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.result()

    async def _look(self, group_id: str) -> Look:
        asked_s = time.monotonic()
        group = (await self.market.http.get(f"/v1/groups/{group_id}")).raise_for_status().json()
        return Look(group["headcount"] + group["held"], asked_s)


def lag_s(look: Look, floors: list[Floor]) -> float:
    """Returns how long after a look all streams showed what it saw; infinity if they never did."""
    seen_at_s = next((floor.moment_s for floor in floors if floor.members >= look.members), float("inf"))
    return max(0.0, seen_at_s - look.moment_s)


def _api_memory_bytes(servers: Servers) -> int:
    return sum(memory_bytes(process_id) for process_id in servers.api_process_ids)


def _goals(samples: Samples, watchers: int) -> tuple[Goal, ...]:
    kept = ratios(measured("/s", samples.watched_per_s), measured("/s", samples.alone_per_s))
    shown = f"{watchers:,} watchers"
    return (
        at_most(
            "watch_seen", f"{shown}: until all saw the latest", SEEN_REACH_S, measured("s", samples.lag_s)
        ),
        at_most(
            "watch_memory", f"{shown}: memory of each", MEMORY_REACH_KIB, measured("KiB", samples.memory_kib)
        ),
        at_least("watch_joins", f"{shown}: joins a second ÷ without any", JOINS_REACH, kept),
    )


def _figures(samples: Samples) -> tuple[Figure, ...]:
    return (
        Figure("alone_per_s", "joins a second, nobody looking on", measured("/s", samples.alone_per_s)),
        Figure("watched_per_s", "joins a second, watched", measured("/s", samples.watched_per_s)),
        Figure("alone_us", "CPU of the API per join, nobody looking on", measured("µs", samples.alone_us)),
        Figure("watched_us", "CPU of the API per join, watched", measured("µs", samples.watched_us)),
        Figure("states", "states shown to each watcher meanwhile", measured("", samples.states)),
        Figure(
            "connect_s", "time until all watchers had shown a first state", measured("s", samples.connect_s)
        ),
        Figure("watchers_share", "what watchers take of their core", measured("%", samples.watchers_share)),
    )


def _chart(samples: Samples) -> Chart:
    looks = samples.looks
    floors = [floor for floor in samples.floors if floor.moment_s >= looks[0].moment_s]
    began_s = looks[0].moment_s
    return Chart(
        "Members over time, in the last run",
        "line",
        "s",
        "members",
        (
            Series(
                "in the database",
                tuple(look.moment_s - began_s for look in looks),
                tuple(float(look.members) for look in looks),
            ),
            Series(
                "shown to everybody",
                tuple(floor.moment_s - began_s for floor in floors),
                tuple(float(floor.members) for floor in floors),
            ),
        ),
    )
