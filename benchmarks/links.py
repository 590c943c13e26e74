"""*links*: buyers follow links to the groups of 2,000 deals, so that hardly two joins at a time share a lane.

What a batch shares on one busy deal (one script call, one statement) is shared by few joins here. Every deal
has one open group; in each run everybody joins the groups in turn, between two phases of hello.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from benchmarks.environment import open_stores, serving
from benchmarks.market import (
    client_of,
    greetings,
    group_joins,
    group_openings,
    hellos,
    open_market,
    request_bytes,
)
from benchmarks.result import Figure, Scenario, ratios, reported
from benchmarks.samples import Samples
from benchmarks.scenario import closed, require_only
from benchmarks.statements import kit_statements

if TYPE_CHECKING:
    import httpx

    from benchmarks.environment import Servers, Stores
    from benchmarks.market import Market
    from benchmarks.scenario import Options, Run

TITLE: Final = "Many groups by link"
DEALS: Final = 2_000
# One makes no more of them within a minute.
DEALS_PER_MERCHANT: Final = 100
JOINS: Final = 8_000
HELLOS: Final = 20_000
LABELS: Final = {"hello": "hello route", "link": "durable join by link"}
NOTES: Final = (
    "2,000 deals with one open group each; consecutive joins go to different lanes.",
    "Rate limits are on; buyers' tokens were seen before, and the process has met each deal once.",
)


class Made(NamedTuple):
    """Ids of what was put on sale, and of the groups opened of it."""

    deal_ids: list[str]
    group_ids: list[str]


def steps(options: Options) -> int:
    """Making the deals, and one for each run."""
    return 1 + options.runs


async def measure(run: Run) -> Scenario:
    """Measures, audits, and says what came of it."""
    began_s, samples = perf_counter(), Samples(LABELS)
    async with open_stores(run.directory) as stores:
        async with serving(stores) as servers, client_of(servers) as http:
            market = await open_market(servers, http)
            made = await _make_groups(servers, http, market, run.options)
        run.on_step(f"{len(made.group_ids):,} groups are open")
        for number in range(run.options.runs):
            await stores.analyse()
            async with serving(stores) as servers, client_of(servers) as http:
                await _one_run(servers, market, samples, run.options, number, made)
            run.on_step(f"run {number + 1} of {run.options.runs}")
        audit = await stores.audit()
    hello, api = samples.cpu_us("hello", "api"), samples.cpu_us("link", "api")
    everything = samples.cpu_us("link", "total")
    return Scenario(
        name="links",
        title=TITLE,
        took_s=perf_counter() - began_s,
        runs=run.options.runs,
        audit=audit,
        figures=(
            *samples.cpu_figures("hello", ("api",)),
            *samples.cpu_figures("link"),
            Figure("link_per_s", "durable joins by link a second", samples.accepted_per_s("link")),
        ),
        goals=(
            reported("link_api", "Joins over 2,000 deals: API CPU ÷ hello", ratios(api, hello)),
            reported(
                "link_all", "Joins over 2,000 deals: CPU of everything ÷ hello", ratios(everything, hello)
            ),
        ),
        latencies=(samples.latency("link", arrivals="closed"),),
        charts=(samples.cpu_chart(("hello", "link")),),
        notes=NOTES,
    )


async def _make_groups(servers: Servers, http: httpx.AsyncClient, market: Market, options: Options) -> Made:
    """Puts the deals on sale and opens a group of each."""
    count, stores = options.count(DEALS), servers.stores
    sellers = [
        await open_market(servers, http, f"bench-merchant-{number}")
        for number in range(-(-count // DEALS_PER_MERCHANT))
    ]
    offers = [
        request_bytes(
            "POST",
            "/v1/deals",
            token=seller.merchant_token,
            key=f"deal-{number}",
            body=msgspec.json.encode(seller.deal_terms()),
        )
        for number in range(count)
        for seller in (sellers[number % len(sellers)],)
    ]
    await _prepare(servers, options, offers, "deals")
    deal_ids = await _ids(stores, "active_deal_ids")
    await _prepare(servers, options, group_openings(deal_ids, market.tokens("leader", count)), "groups")
    return Made(deal_ids, await _ids(stores, "open_group_ids"))


async def _prepare(servers: Servers, options: Options, requests: list[bytes], what: str) -> None:
    outcome, _ = await servers.load(closed(servers.port, requests, options))
    require_only(outcome, (201,), what)


async def _ids(stores: Stores, statement: str) -> list[str]:
    connection = await stores.connect()
    try:
        rows = await connection.fetch(kit_statements("links")[statement])
    finally:
        await connection.close()
    return [row["id"] for row in rows]


async def _one_run(
    servers: Servers, market: Market, samples: Samples, options: Options, number: int, made: Made
) -> None:
    count = options.count(JOINS)
    tokens = market.tokens(f"buyer-{number}", count)
    await servers.load(closed(servers.port, greetings(tokens), options))
    # A process reads what it must know of a lane once, and then it knows.
    first = group_joins(made.group_ids, market.tokens(f"first-{number}", len(made.group_ids)))
    await _prepare(servers, options, first, "warm-up")
    for kind, requests, calls in (
        ("hello", hellos(), options.count(HELLOS)),
        ("link", group_joins(made.group_ids, tokens), count),
    ):
        outcome, cpu = await servers.load(closed(servers.port, requests, options, count=calls))
        require_only(outcome, (201,), kind)
        samples.add(kind, outcome, cpu)
