"""*overload*: three times as many joins as the machine can take, and then half as many as it can.

Arrivals are open-loop: shoppers do not wait for each other. A server that lets everybody in answers nobody in
time; one that refuses what it cannot do keeps doing what it can.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from benchmarks.environment import open_stores, serving
from benchmarks.generate import Phase
from benchmarks.lanes import make_ready
from benchmarks.market import client_of, greetings, joins, open_market
from benchmarks.result import Chart, Figure, Scenario, Series, at_least, at_most, measured
from benchmarks.samples import Samples
from benchmarks.scenario import closed, require_only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.environment import Servers
    from benchmarks.generate import Outcome
    from benchmarks.market import Market
    from benchmarks.result import Goal
    from benchmarks.scenario import Options, Run

TITLE: Final = "Three times too many"
BUYERS: Final = 16_000
"""Fewer than a process keeps verified tokens of; each joins several deals."""
PEAK_JOINS: Final = 8_000
PEAK_CONNECTIONS: Final = 400
"""As full as a process lets itself get: batches are as large as in the overload, and nobody is refused."""
DEALS_AT_ONCE: Final = 10
"""So that the limit of one deal is not what refuses."""
OVERLOAD: Final = 3.0
OVERLOAD_S: Final = 5.0
RECOVERY: Final = 0.5
RECOVERY_S: Final = 2.0
SETTLING_S: Final = 1.0
CONNECTIONS: Final = 4_096
UNAVAILABLE: Final = 503
CREATED: Final = 201
LABELS: Final = {"peak": "join at the peak", "overload": "join at three times the peak"}
NOTES: Final = (
    "The peak is what a closed loop reached right before. Goodput leaves out the first second.",
    "Calls come over 4,096 connections; one that finds none free waits, and the wait counts as its latency.",
    "Recovery is how long after the arrivals fell to half of the peak the last refusal came.",
)


def steps(options: Options) -> int:
    """One for each run."""
    return options.runs


async def measure(run: Run) -> Scenario:
    """Measures, audits, and says what came of it."""
    began_s, samples, options = perf_counter(), Samples(LABELS), run.options
    async with open_stores(run.directory) as stores:
        for number in range(options.runs):
            await stores.analyse()
            async with serving(stores) as servers, client_of(servers) as http:
                market = await open_market(servers, http)
                tokens = market.tokens(f"buyer-{number}", BUYERS)
                await servers.load(closed(servers.port, greetings(tokens), options))
                peak_per_s = await _peak(servers, market, samples, options, tokens)
                await _overload(servers, market, samples, options, tokens, peak_per_s)
            run.on_step(f"run {number + 1} of {options.runs}")
        audit = await stores.audit()
    return Scenario(
        name="overload",
        title=TITLE,
        took_s=perf_counter() - began_s,
        runs=options.runs,
        audit=audit,
        figures=(
            Figure("peak_per_s", "joins a second at the peak, closed loop", samples.accepted_per_s("peak")),
            *samples.cpu_figures("peak"),
            *samples.cpu_figures("overload"),
        ),
        goals=_goals(samples),
        latencies=(
            samples.latency("overload", arrivals="open"),
            samples.latency("overload", arrivals="open", refused=True),
        ),
        charts=(_chart(samples.last("overload")),),
        notes=NOTES,
    )


async def _peak(
    servers: Servers, market: Market, samples: Samples, options: Options, tokens: list[str]
) -> float:
    """Returns how many joins a second a closed loop reaches, once connections and plans are there."""
    deal_ids = await _new_deals(servers, market)
    options = replace(options, connections=PEAK_CONNECTIONS)
    await make_ready(servers, market, options, deal_ids)
    requests = joins(deal_ids, tokens[: options.count(PEAK_JOINS)])
    outcome, cpu = await servers.load(closed(servers.port, requests, options))
    require_only(outcome, (CREATED,), LABELS["peak"])
    samples.add("peak", outcome, cpu)
    return outcome.accepted_per_s


async def _new_deals(servers: Servers, market: Market) -> list[str]:
    """Puts deals on sale, by a merchant of their own: one makes only so many within a minute."""
    seller = await open_market(servers, market.http, f"bench-merchant-{uuid4()}")
    return [await seller.new_deal() for _ in range(DEALS_AT_ONCE)]


async def _overload(
    servers: Servers,
    market: Market,
    samples: Samples,
    options: Options,
    tokens: Sequence[str],
    peak_per_s: float,
) -> None:
    length = 0.5 if options.quick else 1.0
    first = round(OVERLOAD * peak_per_s * OVERLOAD_S * length)
    later = round(RECOVERY * peak_per_s * RECOVERY_S * length)
    requests: list[bytes] = []
    while len(requests) < first + later:
        # Everybody once more, on other deals.
        deal_ids = await _new_deals(servers, market)
        await make_ready(servers, market, options, deal_ids)
        requests += joins(deal_ids, tokens)
    phase = Phase(
        port=servers.port,
        requests=requests[: first + later],
        count=first + later,
        connections=CONNECTIONS,
        rate_per_s=OVERLOAD * peak_per_s,
        later_count=later,
        later_rate_per_s=RECOVERY * peak_per_s,
    )
    outcome, cpu = await servers.load(phase)
    require_only(outcome, (CREATED, UNAVAILABLE), LABELS["overload"])
    samples.add("overload", outcome, cpu)


def _goals(samples: Samples) -> tuple[Goal, ...]:
    outcomes, peaks = samples.outcomes("overload"), samples.accepted_per_s("peak").values
    goodput = [_goodput_per_s(outcome) / peak for outcome, peak in zip(outcomes, peaks, strict=True)]
    told = [outcome.retry_after / max(1, outcome.answered - outcome.accepted_count) for outcome in outcomes]
    return (
        at_least("overload_goodput", "Goodput at 3× saturation ÷ peak", 0.8, measured("", goodput)),
        at_least("overload_told", "Part of refusals with Retry-After", 1.0, measured("", told)),
        at_most(
            "overload_p99",
            "99th percentile of latency of what is accepted at 3× saturation",
            1_000,
            samples.percentile_ms("overload", 99),
        ),
        at_most(
            "overload_recovery",
            "Last refusal after arrivals fell to half of the peak",
            1.0,
            measured("s", [_recovery_s(outcome) for outcome in outcomes]),
        ),
    )


def _goodput_per_s(outcome: Outcome) -> float:
    """Joins a second while three times too many arrive, without the slots of the first second."""
    begin, end = round(SETTLING_S / outcome.slot_s), int(outcome.later_from_s / outcome.slot_s)
    slots = outcome.slots[begin:end]
    return sum(slot.accepted for slot in slots) / (len(slots) * outcome.slot_s)


def _recovery_s(outcome: Outcome) -> float:
    refused = [number for number, slot in enumerate(outcome.slots) if slot.refused]
    if not refused:
        return 0.0
    return max(0.0, (refused[-1] + 1) * outcome.slot_s - outcome.later_from_s)


def _chart(outcome: Outcome) -> Chart:
    xs = tuple((number + 1) * outcome.slot_s for number in range(len(outcome.slots)))
    return Chart(
        "Answers over time, last run",
        "line",
        "seconds",
        "answers a second",
        (
            Series("joined", xs, tuple(slot.accepted / outcome.slot_s for slot in outcome.slots)),
            Series("refused", xs, tuple(slot.refused / outcome.slot_s for slot in outcome.slots)),
        ),
    )
