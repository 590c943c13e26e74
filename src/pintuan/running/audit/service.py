"""Runs every check and says what each found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import asyncpg
import msgspec

from groups.inspection import Difference, differences_of_lane
from groups.keys import Lane
from groups.lane_store import LaneStore
from groups.long_reads import allow_long_reads
from groups.reconciler import LANES_PER_PAGE, ORPHAN_AGE_MS
from groups.settlement import decide
from pintuan.running.audit import store
from pintuan.running.audit.store import OFFENDERS_MAX, Offender
from sql import Connection

# A seat becomes an orphan after the first, and a sweep frees it within the second.
SECOND_LOOK_S: Final = ORPHAN_AGE_MS / 1000 + 6
BEFORE_ALL: Final = Lane("", -1)
REDIS_CHECK: Final = "redis_agrees_with_postgres"
PRICE_CHECK: Final = "settled_prices_follow_the_ladder"


class Check(msgspec.Struct, frozen=True):
    """One check's result; `offenders` lists at most `OFFENDERS_MAX`."""

    name: str
    about: str
    offenders: list[Offender]


class Report(msgspec.Struct, frozen=True):
    """Everything an audit found; `ok` means that no check has an offender. Notices break nothing.

    Redis held `lanes_compared` of `lanes_count` lanes in a state that could be compared with Postgres.
    """

    ok: bool
    checks: list[Check]
    notices: list[Check]
    lanes_count: int
    lanes_compared: int


async def audit(
    pool: asyncpg.Pool,
    lane_store: LaneStore,
    *,
    on_check: Callable[[str], None],
    second_look_s: float = SECOND_LOOK_S,
) -> Report:
    """Runs all checks; `on_check` hears the name of each as it begins.

    Postgres is read in one snapshot, so that traffic cannot make it look wrong. Where Redis differs, a second
    look after `second_look_s` decides.
    """
    checks: list[Check] = []
    notices: list[Check] = []
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await allow_long_reads(connection, store.AUDIT_STATEMENT_TIMEOUT_S)
        for asked, results in ((store.checks(), checks), (store.notices(), notices)):
            for check in asked:
                on_check(check.name)
                found = await store.offenders(connection, check)
                results.append(Check(check.name, check.about, found))
        on_check(PRICE_CHECK)
        checks.append(await _check_prices(connection))
    on_check(REDIS_CHECK)
    looked = await _check_redis(pool, lane_store, second_look_s)
    checks.append(looked.check)
    return Report(
        ok=not any(check.offenders for check in checks),
        checks=checks,
        notices=notices,
        lanes_count=looked.lanes_count,
        lanes_compared=looked.lanes_compared,
    )


async def _check_prices(connection: Connection) -> Check:
    """Recomputes every settlement with the pricing package, independently of SQL."""
    wrong: list[Offender] = []
    async for group in store.settled_groups(connection):
        decision = decide(
            group.tier_headcounts,
            group.tier_prices_minor,
            min_headcount=group.min_headcount,
            headcount=group.final_headcount,
        )
        ended_right = group.status in ("settling", "succeeded" if decision.succeeded else "failed")
        if decision.unit_price_minor != group.final_unit_price_minor or not ended_right:
            detail = (
                f"{group.status} at {group.final_unit_price_minor}, should be {decision.unit_price_minor}"
            )
            wrong.append(Offender(group.id, detail))
    return Check(PRICE_CHECK, "5, 6: settled prices and outcomes follow the ladder", wrong[:OFFENDERS_MAX])


@dataclass(frozen=True, slots=True)
class _Lanes:
    """The result of looking at the lanes in Redis."""

    check: Check
    lanes_count: int
    lanes_compared: int


async def _check_redis(pool: asyncpg.Pool, lane_store: LaneStore, second_look_s: float) -> _Lanes:
    suspects: dict[Lane, set[Difference]] = {}
    count = compared = 0
    async for lane in _lanes(pool):
        differences = await differences_of_lane(pool, lane_store, lane)
        count += 1
        compared += differences is not None
        if differences:
            suspects[lane] = differences
    lasting: set[Difference] = set()
    if suspects:
        await asyncio.sleep(second_look_s)
        for lane, differences in suspects.items():
            lasting |= differences & (await differences_of_lane(pool, lane_store, lane) or set())
    offenders = [
        Offender(
            f"{found.lane.deal_id}:{found.lane.lane_no}",
            f"{found.what}: Redis {found.redis}, Postgres {found.postgres}",
        )
        for found in sorted(lasting)[:OFFENDERS_MAX]
    ]
    check = Check(REDIS_CHECK, "Redis agrees with Postgres on every warm lane", offenders)
    return _Lanes(check, lanes_count=count, lanes_compared=compared)


async def _lanes(pool: asyncpg.Pool) -> AsyncIterator[Lane]:
    after = BEFORE_ALL
    while True:
        lanes = await store.watched_lanes(pool, after, limit=LANES_PER_PAGE)
        for lane in lanes:
            yield lane
        if len(lanes) < LANES_PER_PAGE:
            return
        after = lanes[-1]
