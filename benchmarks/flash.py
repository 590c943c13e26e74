"""*flash*: one deal, many buyers, all at once; a join next to the hello world and to the naive design.

Each run starts a fresh API process on the same stores, has every buyer show a token once (they have
seen the deal before), and then takes turns: hello, joins, naive joins. The order of the three moves on by one
from run to run.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

from benchmarks.environment import open_stores, serving
from benchmarks.generate import Phase
from benchmarks.lanes import make_ready
from benchmarks.market import client_of, greetings, hellos, joins, naive_joins, open_market
from benchmarks.result import Figure, Scenario, at_least, at_most, ratios
from benchmarks.samples import Samples
from benchmarks.scenario import closed, require_only
from benchmarks.statements import kit_statements

if TYPE_CHECKING:
    from benchmarks.environment import Servers, Stores
    from benchmarks.market import Market
    from benchmarks.result import Goal
    from benchmarks.scenario import Options, Run

TITLE: Final = "One deal, many buyers at once"
JOINS: Final = 8_000
# More, because each costs less.
HELLOS: Final = 20_000
WARM_UP_CALLS: Final = 400
OPEN_LOOP_S: Final = 5.0
OPEN_LOOP_CONNECTIONS: Final = 512
KINDS: Final = ("hello", "join", "naive")
LABELS: Final = {
    "hello": "hello route",
    "join": "durable join",
    "naive": "naive join",
    "cold": "join with a token never seen",
    "open": "durable join at half of saturation",
}
NOTES: Final = (
    "Hello names nobody: no token is verified and no key read, which makes the ratio stricter.",
    "The process has seen buyers' tokens before; joins with tokens it has never seen are told apart.",
    "Rate limits are on, the deal's 20,000 joins a second included.",
    "Latencies at half of the saturation rate: API, Redis and Postgres share the servers' cores.",
)


def steps(options: Options) -> int:
    """One for each run."""
    return options.runs


async def measure(run: Run) -> Scenario:
    """Measures, audits, and says what came of it."""
    began_s, samples = perf_counter(), Samples(LABELS)
    async with open_stores(run.directory) as stores:
        await make_naive_table(stores)
        for number in range(run.options.runs):
            await stores.analyse()
            async with serving(stores) as servers, client_of(servers) as http:
                await _one_run(servers, await open_market(servers, http), samples, run.options, number)
            run.on_step(f"run {number + 1} of {run.options.runs}")
        audit = await stores.audit()
    return Scenario(
        name="flash",
        title=TITLE,
        took_s=perf_counter() - began_s,
        runs=run.options.runs,
        audit=audit,
        figures=_figures(samples),
        goals=_goals(samples),
        latencies=(
            samples.latency("open", arrivals="open"),
            *(samples.latency(kind, arrivals="closed") for kind in KINDS),
        ),
        charts=(samples.cpu_chart((*KINDS, "cold")),),
        notes=NOTES,
    )


async def make_naive_table(stores: Stores) -> None:
    """Makes the table that the naive design writes to."""
    connection = await stores.connect()
    try:
        await connection.execute(kit_statements("naive")["create_naive_orders"])
    finally:
        await connection.close()


async def _one_run(servers: Servers, market: Market, samples: Samples, options: Options, number: int) -> None:
    count = options.count(JOINS)
    await _warm_up(servers, market, options, number)
    deal_id = await market.new_deal()
    await make_ready(servers, market, options, [deal_id])
    known = market.tokens(f"known-{number}", 2 * count)
    await servers.load(closed(servers.port, greetings(known), options))
    calls = {
        "hello": (hellos(), options.count(HELLOS)),
        "join": (joins([deal_id], known[:count]), count),
        "naive": (naive_joins(deal_id, known[: count // 2]), count // 2),
    }
    for turn in range(len(KINDS)):
        kind = KINDS[(number + turn) % len(KINDS)]
        await _phase(servers, samples, options, kind, *calls[kind])
    strangers = market.tokens(f"cold-{number}", count // 2)
    await _phase(servers, samples, options, "cold", joins([deal_id], strangers), count // 2)
    await _open_loop(servers, market, samples, options, known[count:], number)


async def _phase(
    servers: Servers, samples: Samples, options: Options, kind: str, requests: list[bytes], count: int
) -> None:
    outcome, cpu = await servers.load(closed(servers.port, requests, options, count=count))
    # Each naive join waits for connections of its own to both stores, and gives up when it gets none in time.
    require_only(outcome, (201, 503) if kind == "naive" else (201,), kind)
    samples.add(kind, outcome, cpu)


async def _warm_up(servers: Servers, market: Market, options: Options, number: int) -> None:
    """Makes a few calls of each kind, so that connections, scripts and plans are there."""
    deal_id, tokens = await market.new_deal(), market.tokens(f"warm-{number}", WARM_UP_CALLS)
    for requests in (hellos(), joins([deal_id], tokens), naive_joins(deal_id, tokens)):
        outcome, _ = await servers.load(closed(servers.port, requests, options, count=WARM_UP_CALLS))
        require_only(outcome, (201,), "warm-up")


async def _open_loop(
    servers: Servers,
    market: Market,
    samples: Samples,
    options: Options,
    tokens: list[str],
    number: int,
) -> None:
    """Lets buyers join another deal at random moments, at half of the rate that this run has reached."""
    rate_per_s = samples.last("join").accepted_per_s / 2
    count = min(len(tokens), max(1, round(rate_per_s * OPEN_LOOP_S)))
    deal_id = await market.new_deal()
    await make_ready(servers, market, options, [deal_id])
    # The process keeps as many verified tokens as it saw before these, and forgets the oldest.
    await servers.load(closed(servers.port, greetings(tokens[:count]), options))
    phase = Phase(
        port=servers.port,
        requests=joins([deal_id], tokens[:count]),
        count=count,
        connections=OPEN_LOOP_CONNECTIONS,
        rate_per_s=rate_per_s,
        seed=number,
    )
    outcome, cpu = await servers.load(phase)
    require_only(outcome, (201,), "open loop")
    samples.add("open", outcome, cpu)


def _figures(samples: Samples) -> tuple[Figure, ...]:
    rates = [
        Figure(f"{kind}_per_s", f"{LABELS[kind]}: calls a second, closed loop", samples.accepted_per_s(kind))
        for kind in (*KINDS, "cold")
    ]
    return (
        *samples.cpu_figures("hello", ("api",)),
        *(figure for kind in ("join", "naive", "cold", "open") for figure in samples.cpu_figures(kind)),
        *rates,
        Figure("client_us", "CPU of the load process per call", samples.client_us()),
    )


def _goals(samples: Samples) -> tuple[Goal, ...]:
    hello = samples.cpu_us("hello", "api")
    api, everything = samples.cpu_us("join", "api"), samples.cpu_us("join", "total")
    joined, naive = samples.accepted_per_s("join"), samples.accepted_per_s("naive")
    return (
        at_most("join_api", "API CPU per durable join ÷ hello route", 0.7, ratios(api, hello)),
        at_most("join_all", "API, Redis, Postgres CPU per join ÷ hello", 1.0, ratios(everything, hello)),
        at_least("join_naive", "Throughput ÷ that of the naive design", 5.0, ratios(joined, naive)),
        at_most(
            "join_p99",
            "99th percentile of latency at half of saturation, open loop",
            30.0,
            samples.percentile_ms("open", 99),
        ),
    )
