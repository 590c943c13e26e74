"""How fast a large group settles, poison members included: `python -m benchmarks.settlement`.

Starts embedded stores, seats a group full, authorises it, and settles it in this process as one worker does:
one executor against the sandbox, which keeps its books in the same Postgres. Of every hundred members one's
capture is declined, one has its answer lost, and one is slow by two seconds. Compare only figures of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from groups.engine import GroupEngine, open_engine
from groups.placement import Placement
from pintuan.base.auth import Principal
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from pintuan.base.stores.postgres import open_pool
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.money.payments.sandbox.methods import SANDBOX_RULES
from pintuan.money.payments.store import count_open
from pintuan.shop.catalog.schemas import ListPrice, NewProduct, NewVariant
from pintuan.shop.catalog.service import create_product
from pintuan.shop.deals.schemas import NewDeal, NewTier
from pintuan.shop.deals.service import create_deal
from sql import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from pintuan.money.payments.gateway import (
        Answer,
        AuthoriseCall,
        CaptureCall,
        Payment,
        RefundCall,
        VoidCall,
    )

SEATS: Final = 10_000
SLOW_S: Final = 2.0
POOL_SIZE: Final = 12
JOINS_AT_ONCE: Final = 500
ROUNDS_MAX: Final = 1_000
# As often as sweeps come.
LOOK_S: Final = 1.0
GROUPS_PER_ROUND: Final = 10
MERCHANT: Final = Principal("bench", "merchant")
LIST_PRICE: Final = ListPrice(1000, "USD")
METHODS: Final = {0: "pm_capture_fails", 1: "pm_capture_timeout", 2: "pm_ok:slow"}


@dataclass
class TimedGateway:
    """The sandbox, with cards that are slow to capture; notes when each capture began and last ended."""

    sandbox: SandboxGateway
    slow: set[str] = field(default_factory=set)
    captures_s: dict[str, tuple[float, float]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def authorisation_lifetime_ms(self) -> int:
        """The sandbox's own."""
        return self.sandbox.authorisation_lifetime_ms

    async def authorise(self, call: AuthoriseCall) -> Answer:
        """Reserves money, and remembers slow cards."""
        self.calls["authorise"] += 1
        if call.payment_method == METHODS[2]:
            self.slow.add(call.reference)
        return await self.sandbox.authorise(call)

    async def capture(self, call: CaptureCall) -> Answer:
        """Takes money, slowly from slow cards."""
        self.calls["capture"] += 1
        began_s, _ = self.captures_s.setdefault(call.reference, (time.perf_counter(), 0.0))
        try:
            if call.reference in self.slow:
                await asyncio.sleep(SLOW_S)
            return await self.sandbox.capture(call)
        finally:
            self.captures_s[call.reference] = (began_s, time.perf_counter())

    async def void(self, call: VoidCall) -> Answer:
        """Lets money go."""
        self.calls["void"] += 1
        return await self.sandbox.void(call)

    async def refund(self, call: RefundCall) -> Answer:
        """Gives money back."""
        return await self.sandbox.refund(call)

    async def look_up(self, reference: str) -> Payment | None:
        """Reads the books."""
        return await self.sandbox.look_up(reference)


@dataclass(frozen=True, slots=True)
class Marketplace:
    """What a worker works on, and what Postgres and Redis run in."""

    pool: asyncpg.Pool
    engine: GroupEngine
    gateway: TimedGateway
    executor: PaymentExecutor


async def main() -> None:
    """Runs the benchmark and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seats", type=int, default=SEATS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pintuan-bench-") as directory:
        async with open_marketplace(Path(directory)) as marketplace:
            await fill(marketplace, options.seats)
            print(f"{options.seats} seats are paid for; settling", file=sys.stderr)
            await settle(marketplace, options.seats)


@asynccontextmanager
async def open_marketplace(directory: Path) -> AsyncIterator[Marketplace]:
    """Fresh stores and all that works on them, for the life of the block."""
    async with AsyncExitStack() as stack:
        postgres, redis = EmbeddedPostgres(directory / "postgres"), EmbeddedRedis(directory / "redis")
        for server in (postgres, redis):
            server.prepare()
            await server.start()
            stack.push_async_callback(server.stop)
            await server.wait_ready()
        await migrate(postgres.url)
        pool = await stack.enter_async_context(
            open_pool(Settings(database_url=postgres.url), size_max=POOL_SIZE, application_name="bench")
        )
        engine = await stack.enter_async_context(open_engine(pool, redis.url, rates=None))
        gateway = TimedGateway(SandboxGateway(pool))
        yield Marketplace(pool, engine, gateway, PaymentExecutor(pool, gateway))


async def fill(marketplace: Marketplace, seats: int) -> None:
    """Seats a group full and has every seat's payment authorised."""
    product = await create_product(
        marketplace.pool,
        MERCHANT.subject,
        NewProduct(title="Tea", variants=[NewVariant("TEA-1", "Tea", LIST_PRICE)]),
    )
    deal = await create_deal(
        marketplace.pool,
        MERCHANT,
        NewDeal(
            variant_id=product.variants[0].id,
            ladder=[NewTier(2, 900), NewTier(seats, 800)],
            min_headcount=2,
            max_headcount=seats,
            group_ttl_seconds=86_400,
            stock=seats,
            per_buyer_units=1,
            lanes=1,
        ),
        rules=SANDBOX_RULES,
    )
    slots = asyncio.Semaphore(JOINS_AT_ONCE)

    async def join(number: int) -> None:
        request = blake2b(b"%d" % number, digest_size=16).digest()
        async with slots:
            await marketplace.engine.place(
                Placement(
                    verb="best",
                    deal_id=deal.id,
                    group_id=None,
                    buyer_id=f"buyer-{number}",
                    quantity=1,
                    payment_method=METHODS.get(number % 100, "pm_ok"),
                    request_id=request,
                    body_digest=request,
                )
            )

    await join(0)
    await asyncio.gather(*(join(number) for number in range(1, seats)))
    await marketplace.executor.drain()


async def settle(marketplace: Marketplace, seats: int) -> None:
    """Settles the group, makes every payment that follows, and prints what it took."""
    before_s, cpu_before_s = time.perf_counter(), _cpu_s()
    marketplace.gateway.calls.clear()
    recorded = 0
    await marketplace.engine.advance_due_groups(GROUPS_PER_ROUND)
    decided_s = time.perf_counter()
    for _ in range(ROUNDS_MAX):
        recorded += await marketplace.executor.drain()
        await marketplace.engine.advance_due_groups(GROUPS_PER_ROUND)
        if not await count_open(marketplace.pool, count_max=1):
            break
        await asyncio.sleep(LOOK_S)
    took_s, cpu_s = time.perf_counter() - before_s, _cpu_s() - cpu_before_s
    spans_s = [ended - began for began, ended in marketplace.gateway.captures_s.values()]
    ends_s = sorted(ended - before_s for _, ended in marketplace.gateway.captures_s.values())
    print(f"orders completed          {seats}")
    print(f"decision                  {decided_s - before_s:.2f} s")
    print(f"everything                {took_s:.2f} s")
    print(f"99 in 100 captures within {ends_s[len(ends_s) * 99 // 100]:.2f} s")
    print(f"operations                {recorded}, {recorded / took_s:.0f}/s")
    print(f"slowest capture           {max(spans_s):.2f} s, its repetition included")
    print(f"CPU of this process       {cpu_s / seats * 1e6:.0f} µs per completed order")
    print(f"calls                     {dict(marketplace.gateway.calls)}")


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
