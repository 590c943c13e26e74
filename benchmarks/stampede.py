"""*stampede*: the last few hundred seats, and many times as many buyers, on one lane and on four.

Whoever comes first gets a seat, everybody else is told at once that the deal is sold out, and exactly the
stock is sold: a run that sells one unit more or less fails.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.environment import open_stores, serving
from benchmarks.market import client_of, greetings, joins, open_market
from benchmarks.result import Chart, Figure, Scenario, Series, measured, reported
from benchmarks.samples import Samples
from benchmarks.scenario import UnexpectedAnswersError, closed, require_only

if TYPE_CHECKING:
    from benchmarks.environment import Servers
    from benchmarks.generate import Outcome
    from benchmarks.market import Market
    from benchmarks.scenario import Options, Run

TITLE: Final = "The last seats"
BUYERS: Final = 8_000
STOCK_UNITS: Final = 500
SLOT_S: Final = 0.02
LANES: Final = {"one": 1, "four": 4}
LABELS: Final = {"one": "call on one lane", "four": "call on four lanes"}
CREATED: Final = 201
CONFLICT: Final = 409
NOTES: Final = (
    "500 units and 8,000 buyers in a closed loop; a run that does not sell exactly the stock has failed.",
    "Rate limits are on; buyers' tokens were seen before.",
)


def steps(options: Options) -> int:
    """One for each run."""
    return options.runs


async def measure(run: Run) -> Scenario:
    """Measures, audits, and says what came of it."""
    began_s, samples, options = perf_counter(), Samples(LABELS), run.options
    sold_out_s: dict[str, list[float]] = {kind: [] for kind in LANES}
    async with open_stores(run.directory) as stores:
        for number in range(options.runs):
            await stores.analyse()
            async with serving(stores) as servers, client_of(servers) as http:
                market = await open_market(servers, http)
                tokens = market.tokens(f"buyer-{number}", options.count(BUYERS))
                await servers.load(closed(servers.port, greetings(tokens), options))
                for kind in LANES:
                    outcome = await _stampede(servers, market, samples, options, kind, tokens)
                    sold_out_s[kind].append(_last_sale_s(outcome))
            run.on_step(f"run {number + 1} of {options.runs}")
        audit = await stores.audit()
    figures = [
        figure
        for kind, label in LABELS.items()
        for figure in (
            Figure(f"{kind}_per_s", f"{label}: answers a second", samples.answered_per_s(kind)),
            *samples.cpu_figures(kind),
        )
    ]
    return Scenario(
        name="stampede",
        title=TITLE,
        took_s=perf_counter() - began_s,
        runs=options.runs,
        audit=audit,
        figures=tuple(figures),
        goals=tuple(
            reported(
                f"stampede_{kind}",
                f"{STOCK_UNITS} seats, {lanes} lane{'s' * (lanes > 1)}: sold out after",
                measured("s", sold_out_s[kind]),
            )
            for kind, lanes in LANES.items()
        ),
        latencies=tuple(
            samples.latency(kind, arrivals="closed", refused=refused)
            for kind in LANES
            for refused in (False, True)
        ),
        charts=tuple(_chart(samples.last(kind), LABELS[kind]) for kind in LANES),
        notes=NOTES,
    )


async def _stampede(
    servers: Servers, market: Market, samples: Samples, options: Options, kind: str, tokens: list[str]
) -> Outcome:
    stock = options.count(STOCK_UNITS)
    deal_id = await market.new_deal(stock=stock, lanes=LANES[kind])
    phase = closed(servers.port, joins([deal_id], tokens), options)
    outcome, cpu = await servers.load(msgspec.structs.replace(phase, slot_s=SLOT_S))
    require_only(outcome, (CREATED, CONFLICT), LABELS[kind])
    if outcome.statuses[CREATED] != stock:
        raise UnexpectedAnswersError(f"{outcome.statuses[CREATED]} of {stock} units were sold ({kind} lanes)")
    samples.add(kind, outcome, cpu)
    return outcome


def _last_sale_s(outcome: Outcome) -> float:
    """When the slot of time ended in which the last unit was sold."""
    last = max(number for number, slot in enumerate(outcome.slots) if slot.accepted)
    return (last + 1) * outcome.slot_s


def _chart(outcome: Outcome, label: str) -> Chart:
    xs = tuple((number + 1) * outcome.slot_s for number in range(len(outcome.slots)))
    return Chart(
        f"Answers over time, last run, {label}",
        "line",
        "seconds",
        "answers a second",
        (
            Series("sold", xs, tuple(slot.accepted / outcome.slot_s for slot in outcome.slots)),
            Series("refused", xs, tuple(slot.refused / outcome.slot_s for slot in outcome.slots)),
        ),
    )
