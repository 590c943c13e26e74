"""*neighbours*: joins beside 64 callers of everything else that anybody can call.

For each kind of neighbour joins run in a closed loop twice, alone and beside them; which comes first changes
from run to run. Neighbours are in a closed loop, too, in a process of their own on the load's core.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Final

import httpx

from benchmarks.environment import open_stores, serving
from benchmarks.generate import Phase
from benchmarks.lanes import make_ready
from benchmarks.load_process import loaded
from benchmarks.market import client_of, greetings, joins, open_market
from benchmarks.neighbour_calls import GUESSED, NEIGHBOURS, Neighbour, Street
from benchmarks.result import Figure, Scenario, at_least, at_most, ratios
from benchmarks.samples import Samples
from benchmarks.scenario import UnexpectedAnswersError, closed, require_only
from benchmarks.statements import kit_statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.environment import Servers, Stores
    from benchmarks.generate import Outcome
    from benchmarks.market import Market
    from benchmarks.result import Goal
    from benchmarks.scenario import Options, Run

TITLE: Final = "Joins, and whoever else is there"
NEIGHBOURS_AT_ONCE: Final = 64
JOINS: Final = 6_000
PRODUCTS: Final = 60_000
CARD_DEALS: Final = 40
"""In seven languages more cards than a process keeps."""
HEAD_START_S: Final = 0.5
"""Neighbours are there before joins begin."""
NEIGHBOURS_S_MAX: Final = 90.0
KEPT_REACH: Final = 0.5
P99_REACH_MS: Final = 1_000.0
CREATED: Final = 201
# Codes are asked for in production mode, where somebody must deliver them; no worker runs, so nobody does.
SETTINGS: Final = {"PINTUAN_SMTP_URL": "smtp://127.0.0.1:1", "PINTUAN_MAIL_FROM": "bench@shop.example"}
NOTES: Final = (
    "What is asked for is the worst call of each class: of searches eight prefixes of one letter among "
    "60,000 products, of cards more different ones than are kept, of API keys and codes a new one each time.",
    "Joins are in a closed loop, so that whoever takes the processor from them shows as fewer joins a "
    "second; latencies are theirs alone. Neighbours share the load's core: what they cost there is included.",
    "A join that is answered otherwise than with an order fails the run.",
)


def steps(options: Options) -> int:
    """One for each kind of neighbour in each run."""
    return options.runs * len(NEIGHBOURS)


async def measure(run: Run) -> Scenario:
    """Measures, audits, and says what came of it. Raises LoadError and UnexpectedAnswersError."""
    began_s, samples, options = perf_counter(), Samples(_labels()), run.options
    async with open_stores(run.directory, SETTINGS) as stores:
        for number in range(options.runs):
            async with serving(stores) as servers, client_of(servers) as http:
                # Runs may follow each other within a minute, in which a merchant makes only so many deals.
                merchant = f"bench-merchant-{number}"
                market = await open_market(servers, http, merchant)
                if number == 0:
                    await _fill_catalogue(stores, merchant, options.count(PRODUCTS))
                turn = Turn(servers, market, options, samples, number)
                await turn.prepare()
                for place, neighbour in enumerate(NEIGHBOURS):
                    await turn.take(neighbour, alone_first=(number + place) % 2 == 0)
                    run.on_step(f"{neighbour.label}, run {number + 1} of {options.runs}")
        audit = await stores.audit()
    return Scenario(
        name="neighbours",
        title=TITLE,
        took_s=perf_counter() - began_s,
        runs=options.runs,
        audit=audit,
        figures=tuple(_figures(samples)),
        goals=tuple(_goals(samples)),
        latencies=tuple(
            samples.latency(f"beside_{neighbour.kind}", arrivals="closed") for neighbour in NEIGHBOURS
        ),
        notes=NOTES,
    )


class Turn:
    """One run, on an API process of its own."""

    def __init__(
        self, servers: Servers, market: Market, options: Options, samples: Samples, number: int
    ) -> None:
        self._servers, self._market, self._options = servers, market, options
        self._samples, self._number = samples, number
        self._tokens = market.tokens(f"buyer-{number}", options.count(JOINS))

    async def prepare(self) -> None:
        """Opens what neighbours ask for, and lets the process see the buyers' tokens."""
        market, number = self._market, self._number
        await self._servers.load(closed(self._servers.port, greetings(self._tokens), self._options))
        seated = market.tokens(f"seated-{number}", NEIGHBOURS_AT_ONCE)
        deal_id = await market.new_deal()
        group_id = await market.new_group(deal_id, seated[0])
        outcome, _ = await self._servers.load(
            closed(self._servers.port, joins([deal_id], seated[1:]), self._options)
        )
        require_only(outcome, (CREATED,), "seating")
        codes = [
            await self._share_code(f"Tea number {deal} of run {number}", token)
            for deal, token in enumerate(market.tokens(f"leader-{number}", self._options.count(CARD_DEALS)))
        ]
        await _ask_for_code(market.http)
        # One to join alone and one to join beside each kind of neighbour.
        self._deal_ids = [await market.new_deal() for _ in range(2 * len(NEIGHBOURS))]
        await make_ready(self._servers, market, self._options, self._deal_ids)
        self._street = Street(deal_id, group_id, codes, seated)

    async def take(self, neighbour: Neighbour, *, alone_first: bool) -> None:
        """Measures joins alone and beside one kind of neighbour."""
        if alone_first:
            await self._alone(neighbour)
            await self._beside(neighbour)
        else:
            await self._beside(neighbour)
            await self._alone(neighbour)

    async def _share_code(self, title: str, token: str) -> str:
        group_id = await self._market.new_group(await self._market.new_deal(title=title), token)
        group = await self._market.call("GET", f"/v1/groups/{group_id}", token=token)
        return str(group["share_code"])

    async def _alone(self, neighbour: Neighbour) -> None:
        await self._join(f"alone_{neighbour.kind}", self._deal_ids.pop())

    async def _beside(self, neighbour: Neighbour) -> None:
        deal_id = self._deal_ids.pop()
        phase = Phase(
            port=self._servers.port,
            requests=neighbour.calls(self._street),
            count=1_000_000,
            connections=NEIGHBOURS_AT_ONCE,
            time_limit_s=NEIGHBOURS_S_MAX,
            hangs_up=neighbour.hangs_up,
        )
        before = self._servers.cpu()
        async with loaded(phase, self._servers.stores.cores.load) as process:
            calling = asyncio.create_task(process.run())
            await asyncio.sleep(HEAD_START_S)
            await self._join(f"beside_{neighbour.kind}", deal_id)
            process.stop()
            outcome = await calling
        self._samples.add(f"neighbours_{neighbour.kind}", outcome, self._servers.cpu() - before)

    async def _join(self, kind: str, deal_id: str) -> None:
        requests = joins([deal_id], self._tokens)
        outcome, cpu = await self._servers.load(closed(self._servers.port, requests, self._options))
        _require_orders(outcome, kind)
        self._samples.add(kind, outcome, cpu)


async def _fill_catalogue(stores: Stores, merchant: str, products: int) -> None:
    connection = await stores.connect()
    try:
        await connection.execute(kit_statements("neighbours")["fill_catalogue"], merchant, products)
    finally:
        await connection.close()
    await stores.analyse()


async def _ask_for_code(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/auth/otp", json={"email": GUESSED})
    # Later runs come from the same address, and the first one's neighbours have used its codes up.
    if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
        answer.raise_for_status()


def _require_orders(outcome: Outcome, kind: str) -> None:
    """Raises UnexpectedAnswersError unless every join was let in."""
    try:
        require_only(outcome, (CREATED,), kind)
    except UnexpectedAnswersError as error:
        raise UnexpectedAnswersError(f"{kind}: joins were kept out: {error}") from error


def _labels() -> dict[str, str]:
    labels = {}
    for neighbour in NEIGHBOURS:
        labels[f"alone_{neighbour.kind}"] = "joins, nobody beside them"
        labels[f"beside_{neighbour.kind}"] = f"joins beside {neighbour.label}"
        labels[f"neighbours_{neighbour.kind}"] = neighbour.label
    return labels


def _goals(samples: Samples) -> Iterator[Goal]:
    for neighbour in NEIGHBOURS:
        kind, label = neighbour.kind, neighbour.label
        alone = samples.accepted_per_s(f"alone_{kind}")
        beside = samples.accepted_per_s(f"beside_{kind}")
        yield at_least(f"{kind}_kept", f"Joins beside {label} ÷ alone", KEPT_REACH, ratios(beside, alone))
        yield at_most(
            f"{kind}_p99",
            f"Joins beside {label}: 99th percentile",
            P99_REACH_MS,
            samples.percentile_ms(f"beside_{kind}", 99),
        )


def _figures(samples: Samples) -> Iterator[Figure]:
    for neighbour in NEIGHBOURS:
        kind = neighbour.kind
        yield Figure(
            f"{kind}_alone_per_s",
            "joins a second, nobody beside them",
            samples.accepted_per_s(f"alone_{kind}"),
        )
        yield Figure(
            f"{kind}_answered_per_s",
            f"{neighbour.label}: answers a second meanwhile",
            samples.answered_per_s(f"neighbours_{kind}"),
        )
