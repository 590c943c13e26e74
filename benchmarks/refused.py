"""*refused*: joins that get no seat, most of the traffic of a flash sale: full, sold out, already in.

Each run takes turns between hello and the three refusals. At the end processes of their own refuse a few and
many: by how much more the second makes Postgres do is what refusals ask of it.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

from benchmarks.environment import open_stores, serving
from benchmarks.market import client_of, greetings, group_joins, hellos, joins, open_market
from benchmarks.result import Figure, Scenario, at_most, measured, ratios
from benchmarks.samples import Samples
from benchmarks.scenario import closed, require_only
from benchmarks.statements import kit_statements

if TYPE_CHECKING:
    from benchmarks.environment import Servers, Stores
    from benchmarks.market import Market
    from benchmarks.scenario import Options, Run

TITLE: Final = "Joins that get no seat"
CALLS: Final = 8_000
HELLOS: Final = 20_000
SEATS: Final = 20
KINDS: Final = ("hello", "full", "sold_out", "already_in")
REFUSALS: Final = KINDS[1:]
LABELS: Final = {
    "hello": "hello route",
    "full": "refused: the group is full",
    "sold_out": "refused: the deal is sold out",
    "already_in": "refused: the buyer is in already",
}
CONFLICT: Final = 409
NOTES: Final = (
    "Every refusal answers 409 with its reason; buyers' tokens were seen before; rate limits are on.",
    "Before `sold_out` the terms of the deal are read again, at most every 25 ms, whatever the traffic.",
    "Transactions: those of a process that refused many, less those of one that refused a few.",
)


def steps(options: Options) -> int:
    """One for each run, and counting the transactions."""
    return options.runs + 1


async def measure(run: Run) -> Scenario:
    """Measures, audits, and says what came of it."""
    began_s, samples, options = perf_counter(), Samples(LABELS), run.options
    async with open_stores(run.directory) as stores:
        for number in range(options.runs):
            await stores.analyse()
            async with serving(stores) as servers, client_of(servers) as http:
                refused = await _set(servers, await open_market(servers, http), options, number)
                for turn in range(len(KINDS)):
                    kind = KINDS[(number + turn) % len(KINDS)]
                    await _phase(servers, refused, samples, options, kind)
            run.on_step(f"run {number + 1} of {options.runs}")
        per_refusal = await _transactions_per_refusal(stores, refused, options)
        run.on_step("transactions are counted")
        audit = await stores.audit()
    hello = samples.cpu_us("hello", "api")
    return Scenario(
        name="refused",
        title=TITLE,
        took_s=perf_counter() - began_s,
        runs=options.runs,
        audit=audit,
        figures=(
            *samples.cpu_figures("hello", ("api",)),
            *(figure for kind in REFUSALS for figure in samples.cpu_figures(kind)),
            *(
                Figure(
                    f"{kind}_transactions", f"{LABELS[kind]}: Postgres transactions", measured("", [count])
                )
                for kind, count in per_refusal.items()
            ),
            *(
                Figure(f"{kind}_per_s", f"{LABELS[kind]}: answers a second", samples.answered_per_s(kind))
                for kind in REFUSALS
            ),
        ),
        goals=(
            *(
                at_most(
                    f"{kind}_api",
                    f"API CPU ÷ hello, {LABELS[kind]}",
                    0.6,
                    ratios(samples.cpu_us(kind, "api"), hello),
                )
                for kind in REFUSALS
            ),
            at_most(
                "refused_postgres",
                "Postgres transactions per refusal, the worst of the three",
                0.02,
                measured("", [max(per_refusal.values())]),
            ),
        ),
        latencies=tuple(samples.latency(kind, arrivals="closed", refused=True) for kind in REFUSALS),
        charts=(samples.cpu_chart(KINDS),),
        notes=NOTES,
    )


async def _set(servers: Servers, market: Market, options: Options, number: int) -> dict[str, list[bytes]]:
    """Fills a group, sells out a deal and seats buyers; returns requests that are refused, by kind."""
    tokens = market.tokens(f"buyer-{number}", options.count(CALLS))
    open_deal = await market.new_deal()
    full_deal = await market.new_deal(max_headcount=SEATS)
    sold_deal = await market.new_deal(stock=SEATS)
    await servers.load(closed(servers.port, greetings(tokens), options))
    seated = market.tokens(f"seated-{number}", SEATS)
    group_id = await market.new_group(full_deal, seated[0])
    for requests in (
        group_joins([group_id], seated[1:]),
        joins([sold_deal], seated),
        joins([open_deal], tokens),
    ):
        outcome, _ = await servers.load(closed(servers.port, requests, options))
        require_only(outcome, (201,), "seating")
    return {
        "full": group_joins([group_id], tokens),
        "sold_out": joins([sold_deal], tokens),
        # With other keys than before, or these would be repetitions of the first calls.
        "already_in": joins([open_deal], tokens),
    }


async def _phase(
    servers: Servers, refused: dict[str, list[bytes]], samples: Samples, options: Options, kind: str
) -> None:
    requests = hellos() if kind == "hello" else refused[kind]
    count = options.count(HELLOS if kind == "hello" else CALLS)
    outcome, cpu = await servers.load(closed(servers.port, requests, options, count=count))
    require_only(outcome, (201,) if kind == "hello" else (CONFLICT,), LABELS[kind])
    samples.add(kind, outcome, cpu)


async def _transactions_per_refusal(
    stores: Stores, refused: dict[str, list[bytes]], options: Options
) -> dict[str, float]:
    """Runs two processes for each kind, with few calls and with all: a process tells when it ends.

    What a process does once, such as opening its connections, is in both counts and falls out.
    """
    found = {}
    for kind in REFUSALS:
        counts = {}
        for calls in (options.connections, len(refused[kind])):
            before = await _transactions(stores)
            async with serving(stores) as servers:
                phase = closed(servers.port, refused[kind], options, count=calls)
                require_only((await servers.load(phase))[0], (CONFLICT,), LABELS[kind])
            counts[calls] = await _transactions(stores) - before
        (few, fewer), (many, more) = counts.items()
        found[kind] = max(0, more - fewer) / (many - few)
    return found


async def _transactions(stores: Stores) -> int:
    connection = await stores.connect()
    try:
        count: int = await connection.fetchval(kit_statements("refused")["transactions"])
    finally:
        await connection.close()
    return count
