"""Lanes share a recording statement, and no lane's trouble becomes another one's."""

from __future__ import annotations

import asyncio
from typing import cast

import asyncpg
import pytest

from groups import recording
from groups.engine import GroupEngine
from groups.placement import Seat
from groups.recording import EPOCH_STALE, RecordingStatements
from tests.integration.groups.conftest import Sound
from tests.interleaving import LOCK_LANE, holding, place_and_die, processes
from tests.market import Market

pytestmark = pytest.mark.anyio


class Counting:
    """A pool that counts the statements sent through it."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.sizes: list[int] = []

    async def fetch(self, statement: str, *arguments: object, timeout: float) -> list[asyncpg.Record]:  # noqa: ASYNC109 - the pool's own.
        order_ids = arguments[0]
        assert isinstance(order_ids, list)
        self.sizes.append(len(order_ids))
        return await self._pool.fetch(statement, *arguments, timeout=timeout)


async def seats_of(market: Market, pool: asyncpg.Pool, redis_url: str, count: int) -> list[Seat]:
    """A seat that Redis gave out in each of as many deals, and that nobody has recorded."""
    return [
        await place_and_die(pool, redis_url, market.wish(f"buyer-{number}", deal=await market.deal()))
        for number in range(count)
    ]


async def epoch_of(market: Market, seat: Seat) -> int:
    epoch: int = (await market.lane(seat.placement.deal_id))["epoch"]
    return epoch


async def test_what_several_lanes_record_at_once_is_one_statement(
    market: Market, pool: asyncpg.Pool, redis_url: str, sound: Sound
) -> None:
    seats = await seats_of(market, pool, redis_url, 4)
    counting = Counting(pool)
    statements = RecordingStatements(cast("asyncpg.Pool", counting), hold_ms=60_000)
    epochs = [await epoch_of(market, seat) for seat in seats]
    shares = await asyncio.gather(
        *(statements.insert([seat], epoch=epoch) for seat, epoch in zip(seats, epochs, strict=True))
    )
    assert counting.sizes == [4]
    for seat, (order, group) in zip(seats, shares, strict=True):
        assert (order["id"], order["group_id"]) == (seat.order_id, seat.group_id)
        assert (group["id"], group["group_id"]) == (None, seat.group_id)
        assert (await market.lane(seat.placement.deal_id))["sold_units"] == 1
    await sound()


async def test_a_stale_epoch_of_one_lane_keeps_no_other_from_being_recorded(
    market: Market, pool: asyncpg.Pool, redis_url: str
) -> None:
    seats = await seats_of(market, pool, redis_url, 3)
    counting = Counting(pool)
    statements = RecordingStatements(cast("asyncpg.Pool", counting), hold_ms=60_000)
    epochs = [await epoch_of(market, seat) for seat in seats]
    epochs[1] -= 1
    outcomes = await asyncio.gather(
        *(statements.insert([seat], epoch=epoch) for seat, epoch in zip(seats, epochs, strict=True)),
        return_exceptions=True,
    )
    assert counting.sizes == [3, 1, 1, 1]
    stale = outcomes.pop(1)
    assert isinstance(stale, asyncpg.PostgresError)
    assert stale.sqlstate == EPOCH_STALE
    assert [len(rows) for rows in outcomes if isinstance(rows, list)] == [2, 2]
    recorded = {order["id"] for order in await market.orders()}
    assert recorded == {seats[0].order_id, seats[2].order_id}


async def test_a_seat_that_a_constraint_refuses_is_its_own_lanes_trouble(
    market: Market, pool: asyncpg.Pool, redis_url: str
) -> None:
    seats = await seats_of(market, pool, redis_url, 2)
    await pool.execute("UPDATE lanes SET stock_units = 0 WHERE deal_id = $1", seats[0].placement.deal_id)
    statements = RecordingStatements(pool, hold_ms=60_000)
    epochs = [await epoch_of(market, seat) for seat in seats]
    lied, recorded = await asyncio.gather(
        *(statements.insert([seat], epoch=epoch) for seat, epoch in zip(seats, epochs, strict=True)),
        return_exceptions=True,
    )
    assert isinstance(lied, asyncpg.CheckViolationError)
    assert isinstance(recorded, list)
    assert {order["id"] for order in await market.orders()} == {seats[1].order_id}


async def test_a_lane_whose_row_is_locked_holds_up_no_other_for_long(
    engine: GroupEngine, market: Market, database_url: str, sound: Sound
) -> None:
    slow, brisk = await market.deal(), await market.deal()
    for deal in (slow, brisk):
        await engine.place(market.wish("first", deal=deal))
    async with holding(database_url, LOCK_LANE, slow, 0) as lane:
        waiting = asyncio.create_task(engine.place(market.wish("ann", deal=slow)))
        await lane.waiters(1)
        assert not (await engine.place(market.wish("ben", deal=brisk))).replayed
        assert not waiting.done()
        await lane.commit()
        await waiting
    await sound()


async def test_two_processes_that_record_the_same_lanes_never_wait_for_each_other_in_a_circle(
    market: Market, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, sound: Sound
) -> None:
    monkeypatch.setattr(recording, "STATEMENTS_AT_ONCE_MAX", 1)
    deals = [await market.deal(stock=100) for _ in range(6)]
    async with processes(database_url, redis_url, 2) as engines:
        outcomes = await asyncio.gather(
            *(
                engine.place(market.wish(f"{number}-{index}", deal=deal))
                for number in range(10)
                for index, engine in enumerate(engines)
                for deal in (deals if index else reversed(deals))
            )
        )
    assert len({outcome.order_id for outcome in outcomes}) == 120
    assert len(await market.orders()) == 120
    await sound()
