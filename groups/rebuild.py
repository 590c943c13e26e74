"""Rebuilds a lane's Redis state from Postgres, under a new epoch."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from groups.errors import Overloaded
from groups.keys import Lane
from groups.lane_store import LaneCold, LaneStore
from groups.listeners import Listeners
from groups.long_reads import allow_long_reads
from groups.looks import outlived
from sql import load_queries

QUERIES = load_queries("groups.queries", "lanes")
TRANSFERS = load_queries("groups.queries", "transfers")
# The time callers wait for a lane to be warm before they are told to come back.
WARM_WAIT_S = 5.0
WARM_POLL_MS = 25
REBUILD_TIMEOUT_S = 30.0
REBUILD_STATEMENT_TIMEOUT_S = 25.0
INSTALLS_MAX = 3
# A holder that keeps the lock for longer than a rebuild may take has hung; the lane must not hang with it.
LOCK_PATIENCE_S = REBUILD_TIMEOUT_S


@dataclass(slots=True)
class LaneState:
    """A lane as Postgres has it, in the shapes of `lua/lane.lua`."""

    meta: dict[str, str | int]
    read_at_ms: int
    groups: dict[str, Any] = field(default_factory=dict)
    open: dict[str, Any] = field(default_factory=dict)
    seats: dict[str, Any] = field(default_factory=dict)
    freed: dict[str, Any] = field(default_factory=dict)
    buyers: dict[str, Any] = field(default_factory=dict)
    # (request id, order id, time to live in ms)
    requests: list[tuple[str, str, int]] = field(default_factory=list)


class Rebuilder:
    """Makes lanes warm again. Many processes may ask at once: the epoch decides, the lock only saves work."""

    def __init__(self, pool: asyncpg.Pool, store: LaneStore, listeners: Listeners) -> None:
        self._pool = pool
        self._store = store
        self._running: dict[Lane, asyncio.Task[bool]] = {}
        self._listeners = listeners
        # Since when somebody else has held the lock of a lane, by the loop's clock.
        self._locked_out_since_s: dict[Lane, float] = {}

    async def close(self) -> None:
        """Waits for rebuilds that are under way; each is bounded by `REBUILD_TIMEOUT_S`."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def warm(self, lane: Lane, *, distrusted_epoch: int = 0) -> int:
        """Returns the lane's epoch once Redis holds it.

        A state at `distrusted_epoch` or below counts as cold even where its token is right. Raises Overloaded
        when the lane is still cold after `WARM_WAIT_S`, or a store does not answer.
        """
        try:
            async with asyncio.timeout(WARM_WAIT_S):
                while True:
                    epoch = await self.epoch_of(lane)
                    if epoch > distrusted_epoch and await self._store.is_warm(lane, epoch):
                        self._locked_out_since_s.pop(lane, None)
                        return epoch
                    # A rebuild outlives its impatient caller, and the next one finds the lane warm.
                    if not await outlived(self._rebuild_task(lane, distrusted_epoch)):
                        await asyncio.sleep(WARM_POLL_MS * random.uniform(0.5, 1.5) / 1000)  # noqa: S311 - jitter
        except TimeoutError as error:
            raise Overloaded("the deal is being made ready, try again") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise Overloaded(f"the order store did not answer: {error}") from error

    async def epoch_of(self, lane: Lane) -> int:
        """Returns the lane's epoch as Postgres has it; raises Overloaded when it does not answer."""
        try:
            epoch: int = await self._pool.fetchval(QUERIES["lane_epoch"], lane.deal_id, lane.lane_no)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise Overloaded(f"the order store did not answer: {error}") from error
        return epoch

    def _rebuild_task(self, lane: Lane, distrusted_epoch: int) -> asyncio.Task[bool]:
        task = self._running.get(lane)
        if task is None:
            task = asyncio.create_task(
                self._rebuild(lane, distrusted_epoch), name=f"rebuild {lane.deal_id}:{lane.lane_no}"
            )
            self._running[lane] = task
            task.add_done_callback(lambda _: self._running.pop(lane, None))
        return task

    async def _rebuild(self, lane: Lane, distrusted_epoch: int) -> bool:
        """Returns whether the lane is ready, as far as we know; false where somebody else is at it."""
        async with asyncio.timeout(REBUILD_TIMEOUT_S), self._pool.acquire() as connection:
            if not await connection.fetchval(QUERIES["try_rebuild_lock"], lane.deal_id, lane.lane_no):
                if self._is_patient(lane):
                    return False
                await self._raise_and_install(connection, lane)
                return True
            try:
                # Another process may have been faster, between our look at the lane and the lock.
                epoch = await connection.fetchval(QUERIES["lane_epoch"], lane.deal_id, lane.lane_no)
                if epoch > distrusted_epoch and await self._store.is_warm(lane, epoch):
                    return True
                if not await self._configure(connection, lane, distrusted_epoch):
                    await self._raise_and_install(connection, lane)
            finally:
                await connection.execute(QUERIES["release_rebuild_lock"], lane.deal_id, lane.lane_no)
        return True

    async def _configure(self, connection: Any, lane: Lane, distrusted_epoch: int) -> bool:
        """Makes a lane warm that only a change of its deal made cold; false where it takes a rebuild."""
        change = await connection.fetchrow(QUERIES["last_change"], lane.deal_id, lane.lane_no)
        if change is None or change["epoch"] - 1 <= distrusted_epoch:
            return False
        try:
            return await self._store.configure(
                lane,
                change["epoch"],
                status=change["status"],
                ends_ms=change["ends_ms"],
                added_units=change["added_units"],
            )
        except LaneCold:
            return False

    def _is_patient(self, lane: Lane) -> bool:
        """Says whether another process's rebuild may still be going on."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._locked_out_since_s.setdefault(lane, now_s) < LOCK_PATIENCE_S:
            return True
        del self._locked_out_since_s[lane]
        return False

    async def _raise_and_install(self, connection: Any, lane: Lane) -> None:
        """Raises the epoch and then reads: older epochs' commits are seen, their stragglers fenced."""
        found_epoch = 0
        for _ in range(INSTALLS_MAX):
            epoch: int = await connection.fetchval(
                QUERIES["raise_epoch"], lane.deal_id, lane.lane_no, found_epoch
            )
            state = await read_lane(connection, lane, request_ttl_ms=self._store.request_ttl_ms)
            sizes = await self._stage(lane, epoch, state)
            newer_epoch = await self._store.install(lane, epoch, state.meta, sizes)
            if newer_epoch is None:
                self._listeners.on_rebuild(1)
                return
            if newer_epoch == await connection.fetchval(QUERIES["lane_epoch"], lane.deal_id, lane.lane_no):
                return
            found_epoch = newer_epoch

    async def _stage(self, lane: Lane, epoch: int, state: LaneState) -> list[int]:
        """Stages what is to be installed; returns how much there is of each part."""
        await self._store.begin_staging(lane, epoch)
        parts = (state.groups, state.open, state.seats, state.freed, state.buyers)
        for position, part in enumerate(parts):
            await self._store.stage(
                lane, epoch, position, part, ranked=part is state.open or part is state.freed
            )
        await self._store.remember_requests(lane, state.requests)
        return [len(part) for part in parts]


async def read_lane(connection: Any, lane: Lane, *, request_ttl_ms: int) -> LaneState:
    """Reads a lane from Postgres in one snapshot; requests older than `request_ttl_ms` are left out."""
    key = (lane.deal_id, lane.lane_no)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await allow_long_reads(connection, REBUILD_STATEMENT_TIMEOUT_S)
        terms = await connection.fetchrow(QUERIES["rebuild_terms"], *key)
        groups = await connection.fetch(QUERIES["rebuild_groups"], *key)
        seats = await connection.fetch(QUERIES["rebuild_seats"], *key)
        buyers = await connection.fetch(QUERIES["rebuild_buyers"], *key)
        requests = await connection.fetch(QUERIES["rebuild_requests"], *key, request_ttl_ms)
        transfers = await connection.fetch(TRANSFERS["moved_transfers"], *key)
    state = LaneState(meta=_meta_of(terms), read_at_ms=terms["now_ms"])
    # Their units are in the stock that was read, and must not be given once more.
    state.meta.update((f"gave:{row['id']}", f"{row['units']}@{state.read_at_ms}") for row in transfers)
    _add_groups(state, groups, seats)
    _add_buyers(state, buyers, seats)
    for seat in seats:
        state.seats[seat["id"]] = (
            seat["group_id"] or "",
            seat["seat"] or 0,
            seat["buyer_id"],
            seat["quantity"],
            seat["request_id"].hex(),
        )
    state.requests = [
        (row["request_id"].hex(), row["order_id"], row["ttl_ms"]) for row in requests if row["ttl_ms"] > 0
    ]
    return state


def _meta_of(terms: asyncpg.Record) -> dict[str, str | int]:
    return {
        "epoch": terms["epoch"],
        "status": terms["status"],
        "starts_ms": terms["starts_ms"],
        "ends_ms": terms["ends_ms"],
        "units_left": terms["units_left"],
        "per_buyer_units": terms["per_buyer_units"],
        "capacity": terms["max_headcount"],
        "group_ttl_ms": terms["group_ttl_ms"],
    }


def _add_groups(state: LaneState, groups: list[asyncpg.Record], seats: list[asyncpg.Record]) -> None:
    taken: dict[str, set[int]] = {row["id"]: set() for row in groups}
    for seat in seats:
        # Solo purchases have no group, and one that has ended is nobody's to join.
        if seat["group_id"] in taken:
            taken[seat["group_id"]].add(seat["seat"])
    for row in groups:
        group_id, numbers = row["id"], taken[row["id"]]
        next_seat = max(numbers, default=0) + 1
        freed = [number for number in range(1, next_seat) if number not in numbers]
        # The share code stays empty: the group's row exists.
        state.groups[group_id] = (
            row["status"],
            row["deadline_ms"],
            row["capacity"],
            len(numbers),
            next_seat,
            len(freed),
            "",
            "",
        )
        if row["status"] == "open" and len(numbers) < row["capacity"]:
            state.open[group_id] = len(numbers)
        state.freed.update((f"{group_id}:{number:06d}", 0) for number in freed)


def _add_buyers(state: LaneState, buyers: list[asyncpg.Record], seats: list[asyncpg.Record]) -> None:
    orders: dict[str, list[str]] = {}
    for seat in seats:
        orders.setdefault(seat["buyer_id"], []).append(seat["id"])
    for row in buyers:
        state.buyers[row["buyer_id"]] = (row["units"], orders.get(row["buyer_id"], []))
