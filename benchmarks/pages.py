"""*pages*: the web page behind a shared link at a steady rate, and the cards messengers show beside the link.

Visitors come at random moments, each for the first time: without a cookie, so that a page is made and sealed
for them. Cards are asked for in each language of deals with titles of their own, so that each is another
picture and is drawn; then they are asked for again, when they are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Final

from benchmarks.environment import open_stores, serving
from benchmarks.generate import Phase
from benchmarks.histogram import sum_of
from benchmarks.market import client_of, open_market, request_bytes
from benchmarks.result import Figure, Scenario, measured, reported
from benchmarks.scenario import require_only

if TYPE_CHECKING:
    from benchmarks.environment import Servers
    from benchmarks.market import Market
    from benchmarks.scenario import Options, Run

TITLE: Final = "The page behind a link, and its picture"
PAGES_PER_S: Final = 200.0
PAGES: Final = 600
PAGE_CONNECTIONS: Final = 64
WARM_UP_PAGES: Final = 50
LANGUAGES: Final = ("en", "zh", "ko", "vi", "uk", "fr", "es")
DEALS: Final = 4
# Fewer than may wait for a card, so that none is answered with a plain one.
CARD_CONNECTIONS: Final = 8
NOTES: Final = (
    f"Pages are asked for {PAGES_PER_S:.0f} times a second, open loop. A page comes in one piece: the time "
    "to its first byte is the time to its last.",
    "Each visitor is new and signs nothing in. Each card is another picture; a process of the API's of low "
    "priority draws them, which the CPU of the API counts in.",
)


@dataclass(slots=True)
class Samples:
    """What the runs measured, one value a run; all latencies of pages."""

    page_ms: list[float] = field(default_factory=list)
    page_p99_ms: list[float] = field(default_factory=list)
    page_us: list[float] = field(default_factory=list)
    drawn_per_s: list[float] = field(default_factory=list)
    drawn_ms: list[float] = field(default_factory=list)
    kept_per_s: list[float] = field(default_factory=list)
    latencies: list[bytes] = field(default_factory=list)


def steps(options: Options) -> int:
    """One for each run."""
    return options.runs


async def measure(run: Run) -> Scenario:
    """Measures, audits, and says what came of it. Raises UnexpectedAnswersError."""
    began_s, samples = perf_counter(), Samples()
    async with open_stores(run.directory) as stores:
        for number in range(run.options.runs):
            async with serving(stores) as servers, client_of(servers) as http:
                market = await open_market(servers, http)
                codes = await _share_codes(market, number, run.options.count(DEALS))
                await _ask_for_pages(servers, codes, run.options, samples, number)
                await _ask_for_cards(servers, codes, samples)
            run.on_step(f"run {number + 1} of {run.options.runs}")
        audit = await stores.audit()
    return Scenario(
        name="pages",
        title=TITLE,
        took_s=perf_counter() - began_s,
        runs=run.options.runs,
        audit=audit,
        figures=_figures(samples),
        goals=(
            reported(
                "pages_p99",
                f"Page behind a link, {PAGES_PER_S:.0f} a second: 99th percentile of the time to it",
                measured("ms", samples.page_p99_ms),
            ),
            reported("cards", "Cards drawn a second", measured("/s", samples.drawn_per_s)),
        ),
        latencies=(
            sum_of(samples.latencies).summary(
                "pages", "pages behind links", arrivals="open", rate_per_s=PAGES_PER_S
            ),
        ),
        notes=NOTES,
    )


async def _share_codes(market: Market, number: int, deals: int) -> list[str]:
    """Opens a group in each of some deals with titles of their own; returns what their links end in."""
    codes = []
    for deal, token in enumerate(market.tokens(f"leader-{number}", deals)):
        deal_id = await market.new_deal(title=f"Tea number {deal} of run {number}")
        group = await market.call("GET", f"/v1/groups/{await market.new_group(deal_id, token)}", token=token)
        codes.append(str(group["share_code"]))
    return codes


async def _ask_for_pages(
    servers: Servers, codes: list[str], options: Options, samples: Samples, number: int
) -> None:
    requests = [request_bytes("GET", f"/g/{code}") for code in codes]
    warm_up = Phase(port=servers.port, requests=requests, count=WARM_UP_PAGES, connections=len(codes))
    require_only((await servers.load(warm_up))[0], (200,), "warm-up")
    phase = Phase(
        port=servers.port,
        requests=requests,
        count=options.count(PAGES),
        connections=PAGE_CONNECTIONS,
        rate_per_s=PAGES_PER_S,
        seed=number,
    )
    outcome, cpu = await servers.load(phase)
    require_only(outcome, (200,), "pages")
    took = sum_of([outcome.accepted])
    samples.latencies.append(outcome.accepted)
    samples.page_ms.append(took.at_ms(50))
    samples.page_p99_ms.append(took.at_ms(99))
    samples.page_us.append(cpu.api_s / outcome.answered * 1e6)


async def _ask_for_cards(servers: Servers, codes: list[str], samples: Samples) -> None:
    paths = [f"/g/{code}/card.png?lang={language}" for code in codes for language in LANGUAGES]
    phase = Phase(
        port=servers.port,
        requests=[request_bytes("GET", path) for path in paths],
        count=len(paths),
        connections=CARD_CONNECTIONS,
    )
    outcome, cpu = await servers.load(phase)
    require_only(outcome, (200,), "cards")
    samples.drawn_per_s.append(outcome.accepted_per_s)
    samples.drawn_ms.append(cpu.api_s / len(paths) * 1000)
    outcome, _ = await servers.load(phase)
    require_only(outcome, (200,), "cards again")
    samples.kept_per_s.append(outcome.accepted_per_s)


def _figures(samples: Samples) -> tuple[Figure, ...]:
    return (
        Figure("page_p50_ms", "time to a page, median", measured("ms", samples.page_ms)),
        Figure("page_p99_ms", "time to a page, 99th percentile", measured("ms", samples.page_p99_ms)),
        Figure("page_us", "CPU of the API per page", measured("µs", samples.page_us)),
        Figure("drawn_per_s", "cards drawn a second", measured("/s", samples.drawn_per_s)),
        Figure("drawn_ms", "CPU of the API per card drawn", measured("ms", samples.drawn_ms)),
        Figure("kept_per_s", "cards a second that were drawn before", measured("/s", samples.kept_per_s)),
    )
