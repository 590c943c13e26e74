"""Rows that always fail keep no other row from its turn, in any sweep there is.

For each kind of row that a sweep handles a trial makes more rows than a round takes, all but the youngest of
which fail whatever is done with them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from unittest.mock import Mock

import asyncpg
import pytest

from groups.engine import GroupEngine
from groups.ids import new_id
from pintuan.payments.sandbox import SandboxGateway
from tests.interleaving import place_and_die
from tests.market import Market, digest
from tests.poison import heal, make_second_tries_due, noted, poison
from tests.rows import Rows
from workers.jobs import Jobs, Stores
from workers.process import sweeps_of

pytestmark = pytest.mark.anyio

ROUND = 2
POISONED = 3 * ROUND + 1
# A round of poisoned rows is noted in each pass, and one pass more is left for the good row.
PASSES_MAX = POISONED // ROUND + 2


@dataclass
class World:
    """What a trial makes its rows in."""

    pool: asyncpg.Pool
    redis_url: str
    rows: Rows
    market: Market
    jobs: Jobs
    deals: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """A row as its sweep names it; by `key` it is poisoned and looked up."""

    name: str
    key: str


@dataclass(frozen=True)
class Trial:
    """How one kind of row is made, poisoned, swept and seen to be handled.

    `make` makes rows that are due, the eldest first.
    """

    make: Callable[[World, int], Awaitable[list[Row]]]
    table: str
    column: str
    sweep: Callable[[World], Awaitable[None]]
    handled: str
    """A statement that says whether the row with key $1 was handled."""


async def overdue_groups(world: World, count: int) -> list[Row]:
    groups = [await world.rows.group() for _ in range(count)]
    for age, group in enumerate(reversed(groups), 1):
        await world.pool.execute(
            "UPDATE groups SET opened_at = opened_at - interval '1 day', deadline = app_now() WHERE id = $1",
            group,
        )
        await world.pool.execute(
            "UPDATE group_progress SET check_at = app_now() - $2 * interval '1 second' WHERE group_id = $1",
            group,
            age,
        )
    return [Row(group, group) for group in groups]


async def unpaid_orders(world: World, count: int) -> list[Row]:
    orders = [await world.rows.order() for _ in range(count)]
    for age, order in enumerate(reversed(orders), 1):
        await world.pool.execute(
            "UPDATE orders SET hold_until = app_now() - $2 * interval '1 second' WHERE id = $1", order, age
        )
    return [Row(order, order) for order in orders]


async def seat_releases(world: World, count: int) -> list[Row]:
    orders = [await world.rows.order() for _ in range(count)]
    for age, order in enumerate(reversed(orders), 1):
        await world.rows.move(order, "expired")
        # Older than any rebuild that could have missed it, so that no lane need be told.
        await world.pool.execute(
            "UPDATE seat_releases SET created_at = app_now() - interval '1 hour',"
            " due_at = app_now() - $2 * interval '1 second' WHERE order_id = $1",
            order,
            age,
        )
    return [Row(order, order) for order in orders]


async def orphans(world: World, count: int) -> list[Row]:
    rows = []
    for deal in sorted([await world.market.deal() for _ in range(count)]):
        orphan = await place_and_die(world.pool, world.redis_url, world.market.wish("ann", deal=deal))
        rows.append(Row(f"{deal}:0", orphan.order_id))
    return rows


async def uneven_deals(world: World, count: int) -> list[Row]:
    deals = sorted([await world.market.deal(lanes=2, stock=20) for _ in range(count)])
    await world.pool.execute(
        "UPDATE lanes SET sold_units = 10 WHERE lane_no = 0 AND deal_id = ANY($1::text[])", deals
    )
    return [Row(deal, deal) for deal in deals]


async def old_keys(world: World, count: int) -> list[Row]:
    rows = []
    for age in range(count, 0, -1):
        order, request = new_id("ord"), digest("old", age)
        await world.pool.execute(
            "INSERT INTO idempotency_keys (request_id, body_digest, order_id, created_at)"
            " VALUES ($1, '', $2, app_now() - $3 * interval '2 days')",
            request,
            order,
            age,
        )
        rows.append(Row(request.hex(), order))
    return rows


TRIALS: dict[str, dict[str, Trial]] = {
    "lifecycle": {
        "lifecycle": Trial(
            overdue_groups,
            "groups",
            "id",
            lambda world: world.jobs.lifecycle.run(),
            "SELECT status <> 'open' FROM groups WHERE id = $1",
        )
    },
    "expiry": {
        "expiry": Trial(
            unpaid_orders,
            "orders",
            "id",
            lambda world: world.jobs.expiry.run(),
            "SELECT status = 'expired' FROM orders WHERE id = $1",
        )
    },
    "seats": {
        "seats": Trial(
            seat_releases,
            "seat_releases",
            "order_id",
            lambda world: world.jobs.seats.run(),
            "SELECT NOT EXISTS (SELECT FROM seat_releases WHERE order_id = $1)",
        )
    },
    "orphans": {
        "orphans": Trial(
            orphans,
            "idempotency_keys",
            "order_id",
            lambda world: world.jobs.orphans.run(),
            "SELECT EXISTS (SELECT FROM idempotency_keys WHERE order_id = $1 AND abandoned)",
        )
    },
    "stock": {
        "stock": Trial(
            uneven_deals,
            "stock_transfers",
            "deal_id",
            lambda world: world.jobs.stock.run(),
            "SELECT stock_units > 10 FROM lanes WHERE deal_id = $1 AND lane_no = 0",
        )
    },
    "keys": {
        "keys": Trial(
            old_keys,
            "idempotency_keys",
            "order_id",
            lambda world: world.jobs.keys.run(),
            "SELECT NOT EXISTS (SELECT FROM idempotency_keys WHERE order_id = $1)",
        )
    },
}
# Sweeps that handle no rows of their own.
WITHOUT_ROWS = {"samples", "setbacks", "webhook samples"}
# To come with the isolation of these queues.
YET_TO_COME = {
    "archive",
    "erasures",
    "notifications",
    "nudges",
    "payments",
    "tidying",
    "webhook tidying",
    "webhooks",
}
KINDS = [(sweep, kind) for sweep, trials in TRIALS.items() for kind in trials]


@pytest.fixture
async def world(
    pool: asyncpg.Pool,
    redis_url: str,
    market: Market,
    engine: GroupEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    for limit in ("GROUPS_PER_ROUND", "ORDERS_PER_ROUND", "SEATS_PER_ROUND", "KEYS_PER_ROUND"):
        monkeypatch.setattr(f"workers.jobs.{limit}", ROUND)
    monkeypatch.setattr("groups.reconciler.LANES_PER_PAGE", ROUND)
    monkeypatch.setattr("groups.stock.DEALS_PER_PAGE", ROUND)
    monkeypatch.setattr(engine._reconciler, "_orphan_age_ms", 0)
    # The first round that fails would otherwise be followed by the next in the same pass.
    monkeypatch.setattr("workers.jobs.ROUNDS_MAX", 1)
    jobs = Jobs(Stores(pool, engine, SandboxGateway(pool), lambda _: None))
    return World(pool, redis_url, await Rows.open(pool), market, jobs)


async def test_every_sweep_there_is_has_a_trial() -> None:
    sweeps = {sweep.name for sweep in sweeps_of(Mock(), Mock(), Mock())}
    assert sweeps == TRIALS.keys() | WITHOUT_ROWS | YET_TO_COME


@pytest.mark.parametrize(("sweep", "kind"), KINDS)
async def test_rows_that_always_fail_keep_no_other_from_its_turn(world: World, sweep: str, kind: str) -> None:
    trial = TRIALS[sweep][kind]
    *bad, good = await trial.make(world, POISONED + 1)
    await poison(world.pool, trial.table, trial.column, [row.key for row in bad])

    passes = 0
    while not await world.pool.fetchval(trial.handled, good.key):
        passes += 1
        assert passes <= PASSES_MAX
        await trial.sweep(world)

    # Every row at fault is noted, once each; what waits for its pause is not tried.
    for _ in range(PASSES_MAX):
        await trial.sweep(world)
    assert await noted(world.pool) == {row.name: 1 for row in bad}
    await make_second_tries_due(world.pool)
    await world.jobs.setbacks.run()
    assert await noted(world.pool) == {row.name: 2 for row in bad}
    await heal(world.pool)
    await world.jobs.setbacks.run()
    assert all([await world.pool.fetchval(trial.handled, row.key) for row in bad])
    assert await noted(world.pool) == {}
    await world.jobs.close()
