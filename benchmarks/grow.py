"""*grow*: the same join in a small market and in a large one.

Two installations run side by side. One has a thousand orders; the other a million, and beside them a group
of a hundred thousand members and a deal with a hundred thousand open groups. Both APIs open their connections
and prepare their statements while the tables are empty. Then the tables are filled in bulk, joins measured
on plans that never saw them full, statistics are brought up to date, and joins are measured again. The small
and the large side of a comparison take turns, and after each turn all payments succeed, as workers see to it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Final

import httpx

from benchmarks.environment import open_stores, serving
from benchmarks.market import client_of, group_joins, joins, open_market
from benchmarks.past import (
    OPEN_GROUP_TTL_S,
    add_history,
    add_open_groups,
    authorise_held,
    clean_up,
    prepare,
    rest,
)
from benchmarks.result import Audit, Chart, Figure, Goal, Scenario, Series, at_most, measured, ratios
from benchmarks.scenario import closed, require_only

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    import asyncpg

    from benchmarks.cpu import Cpu
    from benchmarks.environment import Servers, Stores
    from benchmarks.market import Market
    from benchmarks.scenario import Options, Run

TITLE: Final = "Small market, large market"
JOINS: Final = 3_000
WARM_UP_JOINS: Final = 400
STALE_RUNS_MAX: Final = 3
REACH: Final = 1.15
# A lane of a hundred thousand seats is read into Redis by its first join, which may be told to come back.
WARM_TRIES_MAX: Final = 40
WARM_PAUSE_S: Final = 0.5
NOTES: Final = (
    "CPU of API, Redis and Postgres per join, closed loop. Joins make their group larger: the small one has "
    "10 members when a turn begins, and when it ends those who joined besides.",
    "Members and open groups are compared within the large market, so that nothing else differs; orders are "
    "compared between the two markets.",
    "“Never analysed”: connections and plans from when the tables were empty, and no statistics since.",
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the large market is; the small one has a thousand orders, ten members, ten groups."""

    orders: int
    members: int
    groups: int

    @classmethod
    def of(cls, options: Options) -> Sizes:
        """A quick run's market is a tenth as large or less."""
        return cls(50_000, 10_000, 10_000) if options.quick else cls(1_000_000, 100_000, 100_000)


SMALL: Final = Sizes(orders=1_000, members=10, groups=10)


@dataclass(frozen=True, slots=True)
class Place:
    """A running installation, and a connection of the kit's own to its database."""

    stores: Stores
    servers: Servers
    http: httpx.AsyncClient
    market: Market
    connection: asyncpg.Connection
    deal_id: str
    """A deal like any other, for the comparison of the two markets."""


@dataclass(frozen=True, slots=True)
class Side:
    """Where one side of a comparison joins: a deal, or by link one group for each run."""

    place: Place
    deal_id: str
    group_ids: tuple[str, ...] = ()

    def requests(self, tokens: Sequence[str], run_number: int) -> list[bytes]:
        """Returns one join for each buyer."""
        if not self.group_ids:
            return joins([self.deal_id], tokens)
        return group_joins([self.group_ids[run_number % len(self.group_ids)]], tokens)


@dataclass(frozen=True, slots=True)
class Pair:
    """A comparison: what grows, such as `{} orders`, from how many to how many, and where each side joins."""

    id: str
    what: str
    small_size: int
    large_size: int
    small: Side
    large: Side

    def said(self, size: str) -> str:
        """What grows, with its size in words."""
        return self.what.format(size)


class Samples:
    """CPU per join, by comparison and side, one value a run."""

    def __init__(self) -> None:
        self._us: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)

    def add(self, pair_id: str, side: str, cpu: Cpu, count: int) -> None:
        """Keeps what a turn of `count` joins cost."""
        for part, cpu_s in (("postgres", cpu.postgres_s), ("all", cpu.total_s)):
            self._us[pair_id, side, part].append(cpu_s / count * 1e6)

    def us(self, pair_id: str, side: str, part: str = "all") -> list[float]:
        """Microseconds per join of each run."""
        return self._us[pair_id, side, part]


def steps(options: Options) -> int:
    """Filling, the runs before the statistics were brought up to date, the runs after, and the audit."""
    return 1 + min(options.runs, STALE_RUNS_MAX) + options.runs + 1


async def measure(run: Run) -> Scenario:
    """Measures, audits, and says what came of it. Raises UnexpectedAnswersError."""
    began_s, samples, sizes = perf_counter(), Samples(), Sizes.of(run.options)
    async with AsyncExitStack() as stack:
        small = await stack.enter_async_context(open_place(run.directory / "small"))
        large = await stack.enter_async_context(open_place(run.directory / "large"))
        for place in (small, large):
            await _prepare_statements(place, run.options)
        pairs = await _fill(small, large, sizes, run.options)
        for place in (small, large):
            await rest(place.connection)
        run.on_step(f"{sizes.orders:,} orders made")
        stale = replace(pairs[0], id="never analysed", what="{} orders, never analysed")
        for number in range(min(run.options.runs, STALE_RUNS_MAX)):
            await _take_turns([stale], samples, run.options, number, "stale")
            run.on_step(f"run {number + 1} before statistics")
        for place in (small, large):
            await clean_up(place.connection)
        # Statements are planned anew now, once; that is no part of a join.
        await _take_turns(pairs, Samples(), run.options, run.options.runs, "unmeasured")
        for number in range(run.options.runs):
            await _take_turns(pairs, samples, run.options, number, "grown")
            run.on_step(f"run {number + 1} of {run.options.runs}")
        audit = _both(await small.stores.audit(), await large.stores.audit())
        run.on_step("audited")
    compared = (*pairs, stale)
    return Scenario(
        name="grow",
        title=TITLE,
        took_s=perf_counter() - began_s,
        runs=run.options.runs,
        audit=audit,
        figures=_figures(compared, samples),
        goals=tuple(_goal(pair, samples) for pair in compared),
        charts=(_chart(compared, samples),),
        notes=NOTES,
    )


@asynccontextmanager
async def open_place(directory: Path) -> AsyncIterator[Place]:
    """Starts an installation of its own in `directory`, with one deal nobody has joined."""
    directory.mkdir()  # noqa: ASYNC240 - once, before anything else runs.
    async with open_stores(directory) as stores, serving(stores) as servers, client_of(servers) as http:
        connection = await stores.connect()
        try:
            await prepare(connection)
            market = await open_market(servers, http)
            yield Place(stores, servers, http, market, connection, await market.new_deal())
        finally:
            await connection.close()


async def _prepare_statements(place: Place, options: Options) -> None:
    """Joins often enough that every connection has prepared its statements, while there is nothing."""
    tokens = place.market.tokens("first", WARM_UP_JOINS)
    outcome, _ = await place.servers.load(closed(place.servers.port, joins([place.deal_id], tokens), options))
    require_only(outcome, (201,), "warm-up")
    await authorise_held(place.connection, place.deal_id)


async def _fill(small: Place, large: Place, sizes: Sizes, options: Options) -> list[Pair]:
    for place, orders in ((small, SMALL.orders), (large, sizes.orders)):
        await add_history(place.connection, place.deal_id, orders, lambda _: None)
    room = (options.runs + 1) * _turn(options, sizes) + 1
    small_group = await _side_by_link(large, options.runs + 1, SMALL.members, sizes.members)
    large_group = await _side_by_link(large, 1, max(sizes.members // 2, sizes.members - room), sizes.members)
    return [
        Pair(
            "orders",
            "{} orders",
            SMALL.orders,
            sizes.orders,
            Side(small, small.deal_id),
            Side(large, large.deal_id),
        ),
        Pair("members", "{} members in the group", SMALL.members, sizes.members, small_group, large_group),
        Pair(
            "groups",
            "{} groups open in the deal",
            SMALL.groups,
            sizes.groups,
            await _side_of_groups(large, SMALL.groups, sizes),
            await _side_of_groups(large, sizes.groups, sizes),
        ),
    ]


async def _side_by_link(place: Place, groups: int, members: int, capacity: int) -> Side:
    deal_id = await place.market.new_deal(max_headcount=capacity, group_ttl_seconds=OPEN_GROUP_TTL_S)
    group_ids = await add_open_groups(place.connection, deal_id, groups, members)
    await _warm(place, f"/v1/groups/{group_ids[-1]}/join", deal_id)
    return Side(place, deal_id, tuple(group_ids))


async def _side_of_groups(place: Place, groups: int, sizes: Sizes) -> Side:
    deal_id = await place.market.new_deal(max_headcount=sizes.members, group_ttl_seconds=OPEN_GROUP_TTL_S)
    await add_open_groups(place.connection, deal_id, groups, 1)
    await _warm(place, f"/v1/deals/{deal_id}/join", deal_id)
    return Side(place, deal_id)


async def _warm(place: Place, path: str, deal_id: str) -> None:
    """Joins once, however often it takes, so that Redis holds the lane. Raises HTTPStatusError."""
    (token,) = place.market.tokens(f"warm-{deal_id}", 1)
    body = {"quantity": 1, "payment_method": "pm_ok"}
    for attempt in range(WARM_TRIES_MAX):
        try:
            await place.market.call("POST", path, token=token, body=body)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.SERVICE_UNAVAILABLE or attempt == WARM_TRIES_MAX - 1:
                raise
            await asyncio.sleep(WARM_PAUSE_S)
        else:
            return


async def _take_turns(
    pairs: Sequence[Pair], samples: Samples, options: Options, run_number: int, label: str
) -> None:
    """Measures each pair once; who begins changes from run to run."""
    count = _turn(options, Sizes.of(options))
    for pair in pairs:
        sides = [("small", pair.small), ("large", pair.large)]
        for name, side in sides if run_number % 2 == 0 else reversed(sides):
            tokens = side.place.market.tokens(f"{label}-{pair.id}-{name}-{run_number}", count)
            servers = side.place.servers
            phase = closed(servers.port, side.requests(tokens, run_number), options)
            outcome, cpu = await servers.load(phase)
            require_only(outcome, (201,), f"{pair.id}, {name}")
            samples.add(pair.id, name, cpu, count)
            await authorise_held(side.place.connection, side.deal_id)


def _turn(options: Options, sizes: Sizes) -> int:
    """How many joins a turn has: all turns together must not outgrow the rest of the large group."""
    return max(1, min(options.count(JOINS), sizes.members // 2 // (options.runs + 1) - 1))


def _both(small: Audit, large: Audit) -> Audit:
    return Audit(
        small.clean and large.clean,
        ("the small market:", *small.lines, "the large market:", *large.lines),
    )


def _goal(pair: Pair, samples: Samples) -> Goal:
    small = measured("µs", samples.us(pair.id, "small"))
    large = measured("µs", samples.us(pair.id, "large"))
    grown = pair.said(f"{pair.small_size:,} → {pair.large_size:,}")
    return at_most(f"grow_{pair.id.replace(' ', '_')}", f"CPU per join, {grown}", REACH, ratios(large, small))


def _figures(pairs: Sequence[Pair], samples: Samples) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            f"{pair.id}_{side}_{part}_us",
            f"join with {pair.said(f'{size:,}')}: CPU of {name}",
            measured("µs", samples.us(pair.id, side, part)),
        )
        for pair in pairs
        for side, size in (("small", pair.small_size), ("large", pair.large_size))
        for part, name in (("all", "everything"), ("postgres", "Postgres"))
    )


def _chart(pairs: Sequence[Pair], samples: Samples) -> Chart:
    return Chart(
        "CPU of API, Redis and Postgres per join",
        "bar",
        "",
        "µs",
        tuple(
            Series(
                side,
                tuple(pair.id for pair in pairs),
                tuple(measured("µs", samples.us(pair.id, side)).median for pair in pairs),
            )
            for side in ("small", "large")
        ),
    )
