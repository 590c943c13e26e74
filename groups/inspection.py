"""Compares a lane's Redis state with the state a rebuild would make from Postgres now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg

from groups.keys import Lane
from groups.lane_store import LaneStore
from groups.rebuild import LaneState, read_lane
from sql import load_queries

LANES = load_queries("groups.queries", "lanes")


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """Something Redis and Postgres say differently of a lane."""

    lane: Lane
    what: str
    redis: str
    postgres: str


async def differences_of_lane(pool: asyncpg.Pool, store: LaneStore, lane: Lane) -> set[Difference] | None:
    """Returns where a warm lane differs; None for a cold one, which says nothing and so cannot be wrong.

    Under traffic a difference means something only if it is still there later. Raises Overloaded.
    """
    async with pool.acquire() as connection:
        epoch = await connection.fetchval(LANES["lane_epoch"], lane.deal_id, lane.lane_no)
        if epoch is None or not await store.is_warm(lane, epoch):
            return None
        expected = await read_lane(connection, lane, request_ttl_ms=store.request_ttl_ms)
    found = await store.dump(lane)
    return {
        Difference(lane, what, str(redis), str(postgres))
        for what, redis, postgres in _compare(found, expected)
        if redis != postgres
    }


def _compare(found: dict[str, dict[str, Any]], expected: LaneState) -> list[tuple[str, Any, Any]]:
    pairs: list[tuple[str, Any, Any]] = [
        ("units left", int(found["meta"].get("units_left", -1)), expected.meta["units_left"])
    ]
    # A closed group stays known for its refusals; only its seats and its status matter while it is open.
    now_ms = expected.read_at_ms
    pairs += [
        (
            f"group {group_id}",
            _group(found["groups"], group_id, now_ms),
            _group(expected.groups, group_id, now_ms),
        )
        for group_id in expected.groups.keys() | found["groups"].keys()
    ]
    pairs += [
        (f"seat of {order_id}", _seat(found["seats"].get(order_id)), _seat(expected.seats.get(order_id)))
        for order_id in expected.seats.keys() | found["seats"].keys()
    ]
    pairs += [
        (f"units of {buyer_id}", _units(found["buyers"], buyer_id), _units(expected.buyers, buyer_id))
        for buyer_id in expected.buyers.keys() | found["buyers"].keys()
    ]
    return pairs


def _group(groups: dict[str, Any], group_id: str, now_ms: int) -> tuple[int, int] | None:
    """Capacity and taken seats of a group that is open; one past its deadline is closed to both sides."""
    group = groups.get(group_id)
    return None if group is None or group[0] != "open" or group[1] <= now_ms else (group[2], group[3])


def _seat(seat: Any) -> tuple[Any, ...] | None:
    return None if seat is None else tuple(seat)


def _units(buyers: dict[str, Any], buyer_id: str) -> int:
    return int(buyers[buyer_id][0]) if buyer_id in buyers else 0
