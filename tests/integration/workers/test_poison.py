"""Rows that always fail keep no other row from its turn, in any sweep there is.

For each kind of row that a sweep handles a trial (`tests/poison_trials.py`) makes more rows than a round
takes, all but the youngest of which fail whatever is done with them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from groups.engine import GroupEngine
from pintuan import nouns
from tests.poison import heal, make_second_tries_due, noted, poison
from tests.poison_trials import TRIALS
from tests.poison_world import World, opened_world
from tests.waiting import until

pytestmark = pytest.mark.anyio

ROUND = 2
POISONED = 3 * ROUND + 1
# A round of poisoned rows is noted in each pass, and one pass more is left for the good row.
PASSES_MAX = POISONED // ROUND + 2
LIMITS = (
    "pintuan.base.events.jobs.EVENTS_PER_ROUND",
    "pintuan.people.activity.jobs.ADDRESSES_PER_ROUND",
    "pintuan.people.consents.jobs.UNSUBSCRIBES_PER_ROUND",
    "pintuan.people.identity.jobs.ROWS_PER_ROUND",
    "pintuan.people.notifications.jobs.MESSAGES_PER_ROUND",
    "pintuan.people.personal.jobs.ERASURES_PER_ROUND",
    "pintuan.buying.archive.jobs.ARCHIVED_PER_ROUND",
    "pintuan.buying.groups.jobs.GROUPS_PER_ROUND",
    "pintuan.buying.groups.jobs.KEYS_PER_ROUND",
    "pintuan.buying.groups.jobs.ORDERS_PER_ROUND",
    "pintuan.buying.groups.jobs.SEATS_PER_ROUND",
    "pintuan.money.gateway_events.jobs.EVENTS_PER_ROUND",
    "pintuan.shop.offers.jobs.OFFERS_PER_ROUND",
    "pintuan.selling.webhooks.jobs.ROWS_PER_ROUND",
    "pintuan.selling.webhooks.jobs.SECRETS_PER_ROUND",
    "pintuan.reach.invites.jobs.INVITES_PER_ROUND",
    "pintuan.reach.nudges.jobs.NUDGES_PER_ROUND",
    "pintuan.buying.archive.service.GROUPS_PER_BATCH",
    "pintuan.buying.archive.service.DEALS_PER_BATCH",
    "pintuan.people.notifications.courier.UNASKED_PER_CHANNEL_MAX",
    "groups.reconciler.LANES_PER_PAGE",
    "groups.stock.DEALS_PER_PAGE",
)
# Sweeps that handle no rows of their own.
WITHOUT_ROWS = {"event samples", "samples", "setback samples", "setbacks", "webhook samples"}
KINDS = [(sweep, kind) for sweep, trials in TRIALS.items() for kind in trials]


@pytest.fixture
async def world(
    database_url: str, redis_url: str, engine: GroupEngine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    for limit in LIMITS:
        monkeypatch.setattr(limit, ROUND)
    # A round that made progress would otherwise be followed by the next in the same pass.
    monkeypatch.setattr("pintuan.base.jobs.passes.ROUNDS_MAX", 1)
    # No pause ends by itself, however slow the machine is.
    monkeypatch.setattr("groups.setbacks.FIRST_PAUSE_MS", 3_600_000)
    monkeypatch.setattr("groups.setbacks.PAUSE_MS_MAX", 3_600_000)
    monkeypatch.setattr(engine._reconciler, "_orphan_age_ms", 0)
    async with opened_world(database_url, redis_url, engine, round_size=ROUND) as world:
        yield world


async def test_every_sweep_there_is_has_a_trial() -> None:
    sweeps = {job.name for noun in nouns.jobs() for job in noun.declared}
    assert sweeps == TRIALS.keys() | WITHOUT_ROWS


@pytest.mark.slow
@pytest.mark.parametrize(("sweep", "kind"), KINDS)
async def test_rows_that_always_fail_keep_no_other_from_its_turn(world: World, sweep: str, kind: str) -> None:
    trial, pool = TRIALS[sweep][kind], world.pool
    *bad, good = await trial.make(world, POISONED + 1)
    await poison(pool, trial.table, trial.column, [row.key for row in bad], when=trial.when)

    passes = 0
    while not await pool.fetchval(trial.handled, good.key):
        passes += 1
        assert passes <= PASSES_MAX
        await trial.sweep(world)

    # Every row at fault is noted, once each; what waits for its pause is not tried.
    await pool.execute(trial.lease_over)
    for _ in range(PASSES_MAX):
        await trial.sweep(world)
    assert await noted(pool) == {row.name: 1 for row in bad}

    await make_second_tries_due(pool)

    async def all_failed_again() -> bool:
        await trial.again(world)
        return await noted(pool) == {row.name: 2 for row in bad}

    await until(all_failed_again)

    await heal(pool)
    await pool.execute(trial.lease_over)

    async def all_are_handled() -> bool:
        await trial.again(world)
        return all([await pool.fetchval(trial.handled, row.key) for row in bad])

    await until(all_are_handled)
    if not trial.tries_by_itself:
        assert await noted(pool) == {}
