"""Nudges in Postgres, one typed function per statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.events.event import Event
    from sql import Connection


NUDGES = load_queries(__package__)

NudgeKind: TypeAlias = Literal["tier_near", "hour_left", "succeeded", "failed"]
Place: TypeAlias = tuple[str, NudgeKind]
"""A group's id, and the topic for its members: together they name a nudge."""


class DueNudge(msgspec.Struct, frozen=True, kw_only=True):
    """A nudge whose time has come, with its group as it stands; `now` is the server's.

    `wanted` is the merchant's switch; `sells` says that the deal takes orders and has units left.
    """

    group_id: str
    kind: NudgeKind
    after_buyer_id: str
    status: str
    share_code: str
    deadline: datetime
    currency: str
    min_headcount: int
    tier_headcounts: list[int]
    tier_prices_minor: list[int]
    headcount: int
    merchant_id: str
    wanted: bool
    sells: bool
    now: datetime
    late_ms: int

    @property
    def place(self) -> Place:
        """Its name among all nudges."""
        return self.group_id, self.kind


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody to tell, with the order they are told about and how they are reached.

    `title` is the deal's when they ordered.
    """

    group_id: str
    buyer_id: str
    quantity: int
    final_unit_minor: int | None
    language: str | None
    email: str | None
    phone: str | None
    title: str


async def plan(connection: Connection, group_ids: Sequence[str]) -> None:
    """Makes due what members of groups that opened are told while these run."""
    await connection.execute(NUDGES["plan_nudges"], group_ids)


async def tell_outcome(connection: Connection, ended: Sequence[Event], kind: NudgeKind) -> None:
    """Makes due what members of groups that ended are told of it."""
    await connection.execute(
        NUDGES["nudge_outcomes"],
        [event.object_id for event in ended],
        [event.happened_at for event in ended],
        kind,
    )


async def due(pool: asyncpg.Pool, *, limit: int) -> list[str]:
    """Returns what names up to `limit` nudges that are due, the longest due first."""
    return [row["id"] for row in await pool.fetch(NUDGES["due_nudges"], limit)]


async def take_due(connection: Connection, names: Sequence[str]) -> list[DueNudge]:
    """Locks those of the nudges that are due until the transaction ends."""
    return [DueNudge(**row) for row in await connection.fetch(NUDGES["take_due_nudges"], names)]


async def end(connection: Connection, places: Sequence[Place]) -> None:
    """Ends nudges; one that is none changes nothing."""
    await connection.execute(NUDGES["end_nudges"], *_columns(places))


async def postpone(connection: Connection, delays_ms: dict[Place, int]) -> None:
    """Looks at each nudge again after so many ms."""
    await connection.execute(NUDGES["postpone_nudges"], *_columns(list(delays_ms)), list(delays_ms.values()))


async def go_on_after(connection: Connection, last_told: dict[Place, str]) -> None:
    """Notes the last member that was told of each nudge."""
    await connection.execute(NUDGES["continue_nudges"], *_columns(list(last_told)), list(last_told.values()))


async def members_of(
    connection: Connection, nudges: Sequence[DueNudge], *, limit: int, with_unreachable: bool
) -> dict[Place, list[Member]]:
    """Returns up to `limit` members to tell of each nudge, in the order of their ids."""
    found: dict[Place, list[Member]] = {nudge.place: [] for nudge in nudges}
    # One statement serves one nudge of each group: their members differ.
    for kind in sorted({nudge.kind for nudge in nudges}):
        some = [nudge for nudge in nudges if nudge.kind == kind]
        rows = await connection.fetch(
            NUDGES["members_released" if kind == "failed" else "members_in"],
            [nudge.group_id for nudge in some],
            [nudge.after_buyer_id for nudge in some],
            limit,
            with_unreachable,
        )
        for row in rows:
            found[row["group_id"], kind].append(Member(**row))
    return found


def _columns(places: Sequence[Place]) -> tuple[list[str], list[str]]:
    return [group_id for group_id, _ in places], [kind for _, kind in places]
