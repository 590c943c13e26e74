"""One round: seeds that go shopping together under the faults of their plan, until all is over and checked.

1. The deals go on sale, shoppers come, faults come and go.
2. Once the faults are over: whatever was not decided is asked again with the same key until it is.
3. Where the plan says so, all workers are away for days. The deals end, and their groups run on to their end.
4. Everything is asked again and read, and the laws are checked.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.chaos.books import Books, count_under_way, read_books
from benchmarks.chaos.faults import KINDS
from benchmarks.chaos.history import History
from benchmarks.chaos.laws import Anomaly, check
from benchmarks.chaos.nemeses import NEMESES, Skipped
from benchmarks.chaos.nodes import NodeError
from benchmarks.chaos.shoppers import Crowd, NeverAnsweredError
from benchmarks.chaos.site import NotHealedError
from pintuan.base.stores.embedded import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator

    import asyncpg

    from benchmarks.chaos.plan import Fault, RoundPlan
    from benchmarks.chaos.site import Site

DAYS_AWAY_MS: Final = 48 * 3_600_000
OVER_WAIT_S: Final = 120.0
OVER_POLL_S: Final = 0.25
# Stores and processes that a fault belongs to by the end of its name; all others are the nodes'.
STORES: Final = ("redis", "queue", "postgres", "backend", "clients")
LIVENESS: Final = "everything_ends"


class SeedResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one seed."""

    seed: int
    history: History
    books: Books | None
    anomalies: list[Anomaly]


class RoundResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a round; `skipped` are the faults this machine cannot do, with why."""

    seeds: list[SeedResult]
    skipped: dict[str, str]
    took_s: float

    @property
    def broken(self) -> bool:
        """Whether any law was."""
        return any(seed.anomalies for seed in self.seeds)


async def run_round(site: Site, plan: RoundPlan) -> RoundResult:
    """Runs one round on a living marketplace, which is whole again afterwards unless a law says otherwise."""
    began_s = time.monotonic()
    crowds = [Crowd(seed, site.addresses, site.secret_key) for seed in plan.seeds]
    skipped: dict[str, str] = {}
    stuck: list[Anomaly] = []
    try:
        await _all(crowd.put_on_sale() for crowd in crowds)
        # The plan's moments count from here.
        for crowd in crowds:
            crowd.begin()
        await _under_faults(site, plan, crowds, skipped)
        await site.heal()
        await _all(crowd.decide() for crowd in crowds)
        if any(KINDS[fault.kind].late for fault in plan.faults):
            await _away_for_days(site, crowds)
        await _all(crowd.end_deals() for crowd in crowds)
        stuck += await _until_over(site, crowds)
        for crowd in crowds:
            # After days nobody remembers the keys, and asking with them would be another wish.
            await (crowd.read_orders() if crowd.history.keys_forgotten else crowd.ask_again())
    except* (NotHealedError, NeverAnsweredError, NodeError, EmbeddedError) as group:
        stuck += [Anomaly(LIVENESS, str(error)) for error in _leaves(group)]
    results = []
    for crowd in crowds:
        books = None
        anomalies = list(stuck)
        try:
            async with _connection(site) as connection:
                books = await read_books(connection, crowd.deal_ids)
            anomalies += check(crowd.history, books, is_over=not stuck)
        except OSError as error:
            anomalies.append(Anomaly(LIVENESS, f"the books cannot be read: {error!r}"))
        results.append(
            SeedResult(seed=crowd.plan.seed, history=crowd.history, books=books, anomalies=anomalies)
        )
    return RoundResult(seeds=results, skipped=skipped, took_s=time.monotonic() - began_s)


async def _under_faults(site: Site, plan: RoundPlan, crowds: list[Crowd], skipped: dict[str, str]) -> None:
    """Lets everybody shop while the faults come at their moments, and returns when both are over."""
    turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    began_s = time.monotonic()

    async def harm(fault: Fault) -> None:
        await asyncio.sleep(max(0.0, fault.at_ms / 1000 - (time.monotonic() - began_s)))
        # Two faults of one store would undo each other, say a start while it is being restored.
        async with turns[_victim(fault.kind)]:
            try:
                await NEMESES[fault.kind](site, fault)
            except Skipped as reason:
                skipped[fault.kind] = str(reason)

    async with asyncio.TaskGroup() as tasks:
        for fault in plan.faults:
            if not KINDS[fault.kind].late:
                tasks.create_task(harm(fault), name=fault.kind)
        for crowd in crowds:
            tasks.create_task(crowd.shop())


async def _away_for_days(site: Site, crowds: list[Crowd]) -> None:
    """Restarts everything without workers, lets more orders come, and has the workers back two days later."""
    await asyncio.gather(*(node.stop() for node in site.nodes))
    await asyncio.gather(*(site.start_node(node, workers=0) for node in site.nodes))
    await _all(crowd.shop_late() for crowd in crowds)
    await asyncio.gather(*(node.stop() for node in site.nodes))
    site.sim_offset_ms += DAYS_AWAY_MS
    for crowd in crowds:
        crowd.history.keys_forgotten = True
    await asyncio.gather(*(site.start_node(node) for node in site.nodes))


async def _until_over(site: Site, crowds: list[Crowd]) -> list[Anomaly]:
    """Waits until every group, order and payment has ended; returns what has not, in a bounded time."""
    deal_ids = [deal_id for crowd in crowds for deal_id in crowd.deal_ids]
    async with _connection(site) as connection:
        give_up_s = time.monotonic() + OVER_WAIT_S
        while True:
            left = await count_under_way(connection, deal_ids)
            if not any(left.values()):
                return []
            if time.monotonic() > give_up_s:
                said = ", ".join(f"{count} {name}" for name, count in left.items() if count)
                return [Anomaly(LIVENESS, f"{said} have not ended {OVER_WAIT_S:.0f} s after the faults")]
            await asyncio.sleep(OVER_POLL_S)


@asynccontextmanager
async def _connection(site: Site) -> AsyncIterator[asyncpg.Connection]:
    connection = await site.connect()
    try:
        yield connection
    finally:
        await connection.close()


def _victim(kind: str) -> str:
    name = kind.rpartition("_")[2]
    if name == "backend":
        return "postgres"
    if name == "scripts":
        return "redis"
    return name if name in STORES else "nodes"


async def _all(calls: Iterable[Awaitable[None]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for call in calls:
            tasks.create_task(_awaited(call))


async def _awaited(call: Awaitable[None]) -> None:
    await call


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
