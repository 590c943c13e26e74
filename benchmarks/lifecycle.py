"""*lifecycle*: whole orders, from the join to the money: join → authorise → settle → capture.

Buyers fill groups of one deal while a worker runs. Every payment is authorised, every group settles as it
gets full, every capture is made, at the sandbox gateway, which keeps its books in the same Postgres. A run
counts the CPU of API, worker, Redis and Postgres from the first join until the last group has ended and Redis
knows of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final

from benchmarks.environment import open_stores, serving
from benchmarks.load_process import loaded
from benchmarks.market import client_of, joins, open_market
from benchmarks.result import Chart, Figure, Scenario, Series, at_most, measured
from benchmarks.scenario import UnexpectedAnswersError, closed, require_only
from benchmarks.statements import kit_statements

if TYPE_CHECKING:
    import asyncpg

    from benchmarks.cpu import Cpu
    from benchmarks.environment import Servers
    from benchmarks.market import Market
    from benchmarks.scenario import Options, Run

TITLE: Final = "Whole orders, from the join to the money"
GROUP_SEATS: Final = 500
GROUPS: Final = 8
WARM_UP_JOINS: Final = 200
SETTLE_WAIT_S: Final = 60.0
LOOK_S: Final = 0.1
# What two well-known open-source shops took is about a thousand times as much.
REACH_MS: Final = 1.3
PARTS: Final = (
    ("api", "the API"),
    ("workers", "the worker"),
    ("redis", "Redis"),
    ("postgres", "Postgres"),
    ("total", "everything"),
)
SQL: Final = kit_statements("lifecycle")
NOTES: Final = (
    "The CPU is that of API, worker, Redis and Postgres together, sweeps and waiting included. Gateway is "
    "the sandbox, whose own work is counted, too.",
    "Every buyer's token is one the API has never seen.",
    "Two well-known open-source shops took about 1,300 and 1,400 ms of CPU per completed order.",
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One run: how long after the first join all had joined, and how long after it all had ended."""

    orders: int
    joined_s: float
    ended_s: float
    cpu: Cpu


def steps(options: Options) -> int:
    """One for each run."""
    return options.runs


async def measure(run: Run) -> Scenario:
    """Measures, audits, and says what came of it. Raises UnexpectedAnswersError."""
    began_s = perf_counter()
    turns = []
    async with (
        open_stores(run.directory) as stores,
        serving(stores, workers=1) as servers,
        client_of(servers) as http,
    ):
        market, connection = await open_market(servers, http), await stores.connect()
        try:
            await _take_turn(servers, market, connection, run.options, "warm-up", WARM_UP_JOINS, 1)
            for number in range(run.options.runs):
                seats = run.options.count(GROUP_SEATS)
                turns.append(
                    await _take_turn(servers, market, connection, run.options, str(number), seats, GROUPS)
                )
                run.on_step(f"run {number + 1} of {run.options.runs}")
        finally:
            await connection.close()
        audit = await stores.audit()
    whole = measured("ms", [turn.cpu.total_s / turn.orders * 1000 for turn in turns])
    return Scenario(
        name="lifecycle",
        title=TITLE,
        took_s=perf_counter() - began_s,
        runs=run.options.runs,
        audit=audit,
        figures=_figures(turns),
        goals=(at_most("lifecycle", "CPU of everything per completed order", REACH_MS, whole),),
        charts=(_chart(turns),),
        notes=NOTES,
    )


async def _take_turn(
    servers: Servers,
    market: Market,
    connection: asyncpg.Connection,
    options: Options,
    label: str,
    seats: int,
    groups: int,
) -> Turn:
    """Fills `groups` of `seats` and waits until nothing is left to do. Raises UnexpectedAnswersError."""
    deal_id = await market.new_deal(max_headcount=seats)
    phase = closed(servers.port, joins([deal_id], market.tokens(label, seats * groups)), options)
    async with loaded(phase, servers.stores.cores.load) as load:
        before, began_s = servers.cpu(), perf_counter()
        outcome = await load.run()
        joined_s = perf_counter() - began_s
        require_only(outcome, (201,), label)
        await _until_ended(connection, deal_id)
        turn = Turn(seats * groups, joined_s, perf_counter() - began_s, servers.cpu() - before)
    completed = await connection.fetchval(SQL["completed_orders"], deal_id)
    if completed != turn.orders:
        raise UnexpectedAnswersError(f"{completed} of {turn.orders} orders were paid for in the end")
    return turn


async def _until_ended(connection: asyncpg.Connection, deal_id: str) -> None:
    try:
        async with asyncio.timeout(SETTLE_WAIT_S):
            while True:
                if not await connection.fetchval(SQL["work_left"], deal_id):
                    return
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise UnexpectedAnswersError(f"groups had not ended {SETTLE_WAIT_S:.0f} s after the joins") from None


def _part_us(turns: list[Turn], part: str) -> list[float]:
    return [float(getattr(turn.cpu, f"{part}_s")) / turn.orders * 1e6 for turn in turns]


def _figures(turns: list[Turn]) -> tuple[Figure, ...]:
    parts = tuple(
        Figure(f"{part}_us", f"CPU of {name} per completed order", measured("µs", _part_us(turns, part)))
        for part, name in PARTS
    )
    return (
        *parts,
        Figure(
            "join_per_s",
            "joins a second while the worker runs beside",
            measured("/s", [turn.orders / turn.joined_s for turn in turns]),
        ),
        Figure(
            "completed_per_s",
            "completed orders a second, from the first join to the last group's end",
            measured("/s", [turn.orders / turn.ended_s for turn in turns]),
        ),
        Figure(
            "tail_s",
            "time from the last join until all money was taken and every group had ended",
            measured("s", [turn.ended_s - turn.joined_s for turn in turns]),
        ),
    )


def _chart(turns: list[Turn]) -> Chart:
    shown = [(part, name) for part, name in PARTS if part != "total"]
    medians = tuple(measured("µs", _part_us(turns, part)).median for part, _ in shown)
    return Chart(
        "Where the CPU of a completed order goes",
        "bar",
        "",
        "µs",
        (Series("completed order", tuple(name for _, name in shown), medians),),
    )
