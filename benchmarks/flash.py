"""*flash*: one deal, many buyers, all at once; a join next to the hello world and to the naive design.

Each run starts a fresh API process on the same stores, lets every buyer look at the deal (so that tokens are
known, as they are when a sale begins), and then takes turns: hello, joins, naive joins. The order of the
three moves on by one from run to run.
"""

from __future__ import annotations

from collections import defaultdict
from time import perf_counter
from typing import TYPE_CHECKING, Final

from benchmarks.environment import open_stores, serving
from benchmarks.generate import Phase
from benchmarks.histogram import sum_of
from benchmarks.market import client_of, hellos, joins, looks, naive_joins, open_market
from benchmarks.result import Chart, Figure, Scenario, Series, at_least, at_most, measured, ratios
from benchmarks.scenario import closed, require_only
from benchmarks.statements import kit_statements

if TYPE_CHECKING:
    from benchmarks.cpu import Cpu
    from benchmarks.environment import Servers, Stores
    from benchmarks.generate import Outcome
    from benchmarks.market import Market
    from benchmarks.result import Goal, LatencySummary
    from benchmarks.scenario import Options, Run

TITLE: Final = "One deal, many buyers at once"
JOINS: Final = 8_000
WARM_UP_CALLS: Final = 400
OPEN_LOOP_S: Final = 5.0
OPEN_LOOP_CONNECTIONS: Final = 512
KINDS: Final = ("hello", "join", "naive")
LABELS: Final = {"hello": "hello route", "join": "durable join", "naive": "naive join", "cold": "first call"}
NOTES: Final = (
    "Hello names nobody: no token is verified and no key read, which makes the ratio stricter.",
    "Buyers' tokens were seen before, at their look at the deal; a `first call` comes with one never seen.",
    "Rate limits are on, the deal's 5,000 joins a second included.",
    "Latencies at half of the saturation rate: API, Redis and Postgres share the servers' cores.",
)


class Samples:
    """What the runs measured, by kind of call."""

    def __init__(self) -> None:
        self.cpus: defaultdict[str, list[tuple[Cpu, int]]] = defaultdict(list)
        self.rates_per_s: defaultdict[str, list[float]] = defaultdict(list)
        self.latencies: defaultdict[str, list[bytes]] = defaultdict(list)
        self.client_us: list[float] = []
        self.open_p99_ms: list[float] = []
        self.open_rate_per_s: list[float] = []

    def add(self, kind: str, outcome: Outcome, cpu: Cpu) -> None:
        """Keeps what one phase came to."""
        self.cpus[kind].append((cpu, outcome.answered))
        self.rates_per_s[kind].append(outcome.accepted_per_s)
        self.latencies[kind].append(outcome.accepted)
        self.client_us.append(outcome.client_cpu_s / outcome.answered * 1e6)

    def cpu_us(self, kind: str, part: str) -> list[float]:
        """CPU microseconds per call of a part, for each run."""
        return [float(getattr(cpu, f"{part}_s")) / count * 1e6 for cpu, count in self.cpus[kind]]


def steps(options: Options) -> int:
    """One for each run."""
    return options.runs


async def measure(run: Run) -> Scenario:
    """Measures, audits, and says what came of it."""
    began_s, samples = perf_counter(), Samples()
    async with open_stores(run.directory) as stores:
        await _make_naive_table(stores)
        for number in range(run.options.runs):
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
        latencies=_latencies(samples),
        charts=(_cpu_chart(samples),),
        notes=NOTES,
    )


async def _make_naive_table(stores: Stores) -> None:
    connection = await stores.connect()
    try:
        await connection.execute(kit_statements("naive")["create_naive_orders"])
    finally:
        await connection.close()


async def _one_run(servers: Servers, market: Market, samples: Samples, options: Options, number: int) -> None:
    count = options.count(JOINS)
    await _warm_up(servers, market, options, number)
    deal_id = await market.new_deal()
    known = market.tokens(f"known-{number}", 2 * count)
    await servers.load(closed(servers.port, looks(deal_id, known), options))
    requests = {
        "hello": hellos(),
        "join": joins([deal_id], known[:count]),
        "naive": naive_joins(deal_id, known[: count // 2]),
    }
    for turn in range(len(KINDS)):
        kind = KINDS[(number + turn) % len(KINDS)]
        calls = count if kind == "hello" else len(requests[kind])
        phase = closed(servers.port, requests[kind], options, count=calls)
        outcome, cpu = await servers.load(phase)
        require_only(outcome, (201,), kind)
        samples.add(kind, outcome, cpu)
    outcome, cpu = await servers.load(
        closed(servers.port, joins([deal_id], market.tokens(f"cold-{number}", count // 2)), options)
    )
    require_only(outcome, (201,), "cold")
    samples.add("cold", outcome, cpu)
    await _open_loop(servers, market, samples, known[count:], number)


async def _warm_up(servers: Servers, market: Market, options: Options, number: int) -> None:
    """Makes a few calls of each kind, so that connections, scripts and plans are there."""
    deal_id, tokens = await market.new_deal(), market.tokens(f"warm-{number}", WARM_UP_CALLS)
    for requests in (hellos(), joins([deal_id], tokens), naive_joins(deal_id, tokens)):
        phase = closed(servers.port, requests, options, count=WARM_UP_CALLS)
        outcome, _ = await servers.load(phase)
        require_only(outcome, (201,), "warm-up")


async def _open_loop(
    servers: Servers, market: Market, samples: Samples, tokens: list[str], number: int
) -> None:
    """Lets buyers join another deal at random moments, at half of the rate that this run has reached."""
    rate_per_s = samples.rates_per_s["join"][-1] / 2
    count = min(len(tokens), max(1, round(rate_per_s * OPEN_LOOP_S)))
    deal_id = await market.new_deal()
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
    samples.cpus["open"].append((cpu, outcome.answered))
    samples.latencies["open"].append(outcome.accepted)
    samples.open_rate_per_s.append(rate_per_s)
    samples.open_p99_ms.append(sum_of([outcome.accepted]).at_ms(99))


def _figures(samples: Samples) -> tuple[Figure, ...]:
    figures = []
    for kind in (*KINDS, "cold", "open"):
        label = {**LABELS, "open": "join at half of saturation"}[kind]
        for part in ("api", "redis", "postgres", "total"):
            if kind == "hello" and part in ("redis", "postgres"):
                continue
            what = f"CPU of {'everything' if part == 'total' else part} per {label}"
            figures.append(Figure(f"{kind}_{part}_us", what, measured("µs", samples.cpu_us(kind, part))))
    for kind in (*KINDS, "cold"):
        rates = measured("/s", samples.rates_per_s[kind])
        figures.append(Figure(f"{kind}_per_s", f"{LABELS[kind]}: calls a second, closed loop", rates))
    figures.append(Figure("client_us", "CPU of the load process per call", measured("µs", samples.client_us)))
    return tuple(figures)


def _goals(samples: Samples) -> tuple[Goal, ...]:
    hello = measured("µs", samples.cpu_us("hello", "api"))
    api = measured("µs", samples.cpu_us("join", "api"))
    total = measured("µs", samples.cpu_us("join", "total"))
    joined = measured("/s", samples.rates_per_s["join"])
    naive = measured("/s", samples.rates_per_s["naive"])
    return (
        at_most("join_api", "API CPU per durable join ÷ hello route", 0.7, ratios(api, hello)),
        at_most("join_all", "API, Redis, Postgres CPU per durable join ÷ hello", 1.0, ratios(total, hello)),
        at_least("join_naive", "Throughput ÷ that of the naive design", 5.0, ratios(joined, naive)),
        at_most(
            "join_p99",
            "99th percentile of latency at half of saturation, open loop",
            30.0,
            measured("ms", samples.open_p99_ms),
        ),
    )


def _latencies(samples: Samples) -> tuple[LatencySummary, ...]:
    runs = len(samples.open_rate_per_s)
    closed_loops = [
        sum_of(samples.latencies[kind]).summary(
            f"{kind}_closed",
            f"{LABELS[kind]}, closed loop at saturation",
            arrivals="closed",
            rate_per_s=sum(samples.rates_per_s[kind]) / runs,
        )
        for kind in KINDS
    ]
    half = sum_of(samples.latencies["open"]).summary(
        "join_open",
        "durable join, open loop at half of saturation",
        arrivals="open",
        rate_per_s=sum(samples.open_rate_per_s) / runs,
    )
    return (half, *closed_loops)


def _cpu_chart(samples: Samples) -> Chart:
    kinds = (*KINDS, "cold")
    parts = (("api", "API"), ("redis", "Redis"), ("postgres", "Postgres"))
    return Chart(
        "CPU per call",
        "bar",
        "",
        "µs",
        tuple(
            Series(
                name,
                tuple(LABELS[kind] for kind in kinds),
                tuple(measured("µs", samples.cpu_us(kind, part)).median for kind in kinds),
            )
            for part, name in parts
        ),
    )
