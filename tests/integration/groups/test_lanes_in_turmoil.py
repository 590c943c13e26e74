"""Crowds buy from every lane while units move, terms change and processes die: each unit is sold once."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from redis.asyncio import Redis

from groups.engine import REQUEST_TTL_MS, GroupEngine
from groups.errors import DealNotActive, LimitReached, Overloaded, SoldOut
from groups.keys import Lane
from groups.lane_store import LaneStore
from groups.stock import StockMover
from sql import load_queries
from tests.integration.groups.conftest import Sound
from tests.interleaving import processes
from tests.market import Market, buyer_of_lane
from tests.transfers import Died

pytestmark = pytest.mark.anyio

DEALS = load_queries("pintuan.shop.deals")
LANES = 4
STOCK = 400
ADDED_UNITS = 20
ADDITIONS = 5
CALLS_MAX = 2_000


class DyingStore(LaneStore):
    """The store of processes that die at every other step of a transfer, before it or after it."""

    def __init__(self, redis_url: str, dice: random.Random) -> None:
        super().__init__(redis_url, rates=None, request_ttl_ms=REQUEST_TTL_MS)
        self._dice = dice

    async def take_units(self, lane: Lane, epoch: int, transfer_id: str, units: int) -> int:
        self._perhaps_die()
        taken = await super().take_units(lane, epoch, transfer_id, units)
        self._perhaps_die()
        return taken

    async def give_units(self, lane: Lane, epoch: int, transfer_id: str, units: int) -> int:
        self._perhaps_die()
        left = await super().give_units(lane, epoch, transfer_id, units)
        self._perhaps_die()
        return left

    def _perhaps_die(self) -> None:
        if self._dice.random() < 0.3:
            raise Died


@asynccontextmanager
async def meanwhile(*works: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Repeats each work for the life of the block; one that fails fails the block."""

    async def repeat(work: Callable[[], Awaitable[None]]) -> None:
        while not over.is_set():
            await work()
            await asyncio.sleep(0)

    over = asyncio.Event()
    tasks = [asyncio.create_task(repeat(work)) for work in works]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*tasks)


async def buy(engine: GroupEngine, market: Market, deal: str, buyer: str, group: str | None) -> str:
    """Buys until told for good; returns how it ended."""
    wish = market.wish(buyer, deal="" if group else deal, group=group, verb=None if group else "best")
    for _ in range(CALLS_MAX):
        try:
            await engine.place(wish)
        except Overloaded:
            await asyncio.sleep(0.005)
            continue
        except (SoldOut, DealNotActive, LimitReached) as refusal:
            return type(refusal).__name__
        return "Recorded"
    raise AssertionError("nothing was decided")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_every_unit_is_sold_once_whatever_happens_to_lanes(
    database_url: str,
    redis_url: str,
    redis: Redis,
    pool: asyncpg.Pool,
    market: Market,
    sound: Sound,
    seed: int,
) -> None:
    dice = random.Random(seed)  # noqa: S311 - the same dice for the same seed.
    deal = await market.deal(stock=STOCK, lanes=LANES, max_headcount=STOCK * 2)
    dying_store = DyingStore(redis_url, dice)
    dying = StockMover(pool, dying_store)
    additions = ADDITIONS

    async def change() -> None:
        nonlocal additions
        await asyncio.sleep(0.1)
        if additions:
            additions -= 1
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    "UPDATE deals SET stock_units = stock_units + $2 WHERE id = $1", deal, ADDED_UNITS
                )
                await connection.execute(DEALS["raise_lanes"], deal, ADDED_UNITS)
            await engines[0].deal_changed(deal)

    async def die() -> None:
        await asyncio.sleep(0.02)
        try:
            await dying.gather(Lane(deal, dice.randrange(LANES)), dice.randrange(1, STOCK // LANES))
        except (Died, Overloaded):
            return

    async def forget() -> None:
        await asyncio.sleep(0.15)
        await redis.delete(f"pt:{{{deal}:{dice.randrange(LANES)}}}:meta")

    async def even_out() -> None:
        await asyncio.sleep(0.02)
        await engines[1].even_out_stock()

    async with processes(database_url, redis_url, 3) as engines:
        hosts = [
            await engines[0].place(market.wish(buyer_of_lane(no, LANES), deal=deal, verb="open"))
            for no in range(LANES)
        ]
        groups = [await market.group_of(host.order_id) for host in hosts]
        buyers: list[tuple[str, str | None]] = [
            (f"friend-{n}", groups[min(n % 7, LANES - 1)]) for n in range(STOCK)
        ]
        buyers += [(f"passer-by-{n}", None) for n in range(STOCK // 2)]
        dice.shuffle(buyers)
        async with meanwhile(change, die, forget, even_out):
            calls = [buy(engines[n % 3], market, deal, *buyer) for n, buyer in enumerate(buyers)]
            outcomes = Counter(await asyncio.gather(*calls))
        while additions:
            await change()
        await engines[1].even_out_stock()
        # Whoever was told `sold_out` before stock was added may come again; then the last unit goes too.
        late = Counter(
            [await buy(engines[0], market, deal, f"late-{n}", groups[n % LANES]) for n in range(STOCK)]
        )
    await dying_store.close()
    assert set(outcomes) | set(late) == {"Recorded", "SoldOut"}
    sold = outcomes["Recorded"] + late["Recorded"] + LANES
    assert sold == STOCK + ADDITIONS * ADDED_UNITS == len(await market.orders(deal_id=deal))
    lanes = [await market.lane(deal, no) for no in range(LANES)]
    assert all(lane["stock_units"] == lane["sold_units"] for lane in lanes)
    await sound()
