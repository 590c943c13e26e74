"""Work of one kind makes the work that follows from it begin in the same process."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

import asyncpg
import pytest

from groups.setbacks import Work
from pintuan.base.jobs.passes import ROUNDS_MAX
from pintuan.base.jobs.process_jobs import ProcessJobs
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from tests.rows import Rows
from tests.working import market_jobs

pytestmark = pytest.mark.anyio


@dataclass
class ScriptedEngine:
    """Answers each method from a list of row counts, then 0; notes every call."""

    answers: dict[str, list[int]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    called: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    failing: bool = False

    async def advance_due_groups(self, limit: int) -> int:
        if self.failing:
            self._note("advance", limit)
            raise ExceptionGroup("groups that could not be advanced", [ValueError("broken")])
        return self._note("advance", limit)

    async def expire_unpaid(self, limit: int) -> int:
        return self._note("expire", limit)

    async def apply_seat_releases(self, limit: int) -> int:
        return self._note("seats", limit)

    async def reconcile_orphans(self) -> int:
        return self._note("orphans", 1)

    async def even_out_stock(self) -> int:
        return self._note("stock", 1)

    async def purge_expired_keys(self, limit: int) -> int:
        return self._note("keys", limit)

    def second_tries(self) -> dict[str, Work]:
        return {}

    def _note(self, name: str, limit: int) -> int:
        assert limit > 0
        self.calls[name] += 1
        self.called[name].set()
        waiting = self.answers.get(name)
        return waiting.pop(0) if waiting else 0


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def changed() -> list[str]:
    """The groups that watchers were told of."""
    return []


@pytest.fixture
def jobs(pool: asyncpg.Pool, engine: ScriptedEngine, changed: list[str]) -> ProcessJobs:
    return market_jobs(pool, engine, SandboxGateway(pool), changed.extend)


async def test_a_recorded_payment_makes_groups_advance_and_is_told_to_watchers(
    pool: asyncpg.Pool, jobs: ProcessJobs, engine: ScriptedEngine, changed: list[str]
) -> None:
    rows = await Rows.open(pool)
    group = await rows.group()
    await rows.order(group=group)

    await jobs.run("payments")
    await engine.called["advance"].wait()
    await jobs.close()

    assert engine.calls["seats"] == 0
    assert set(changed) == {group}


async def test_an_order_that_ended_makes_its_seat_free(
    pool: asyncpg.Pool, jobs: ProcessJobs, engine: ScriptedEngine
) -> None:
    rows = await Rows.open(pool)
    await rows.order(group=await rows.group(), method="pm_declined")

    await jobs.run("payments")
    await engine.called["seats"].wait()
    await jobs.close()


@pytest.mark.parametrize("failing", [False, True])
async def test_groups_that_advanced_get_their_payments_made(
    pool: asyncpg.Pool, jobs: ProcessJobs, engine: ScriptedEngine, failing: bool
) -> None:
    rows = await Rows.open(pool)
    order = await rows.order(group=await rows.group())
    engine.failing = failing
    engine.answers["advance"] = [1]

    try:
        await jobs.run("lifecycle")
    except ExceptionGroup:
        assert failing
    while await rows.status(order) != "authorised":
        engine.called["advance"].clear()
        await engine.called["advance"].wait()
    await jobs.close()


async def test_a_group_that_is_due_soon_is_looked_at_in_time(
    pool: asyncpg.Pool, jobs: ProcessJobs, engine: ScriptedEngine
) -> None:
    rows = await Rows.open(pool)
    group = await rows.group()
    await pool.execute(
        "UPDATE group_progress SET check_at = app_now() + interval '50 ms' WHERE group_id = $1", group
    )

    await jobs.run("lifecycle")
    looks = engine.calls["advance"]
    engine.called["advance"].clear()
    await engine.called["advance"].wait()
    await jobs.close()

    assert engine.calls["advance"] > looks


async def test_expired_orders_make_groups_advance_and_seats_free(
    jobs: ProcessJobs, engine: ScriptedEngine
) -> None:
    engine.answers["expire"] = [3, 2]

    await jobs.run("expiry")
    await engine.called["advance"].wait()
    await engine.called["seats"].wait()
    await jobs.close()

    assert engine.calls["expire"] == 3


async def test_each_sweep_repeats_its_work_until_nothing_is_left_and_no_longer(
    jobs: ProcessJobs, engine: ScriptedEngine
) -> None:
    engine.answers = {"seats": [500, 12], "keys": [10_000] * (ROUNDS_MAX + 10)}

    await jobs.run("seats")
    await jobs.run("keys")
    await jobs.run("orphans")
    await jobs.close()

    assert (engine.calls["seats"], engine.calls["keys"], engine.calls["orphans"]) == (3, ROUNDS_MAX, 1)
