"""Groups in Postgres, and the viewer's order in one; one typed function per statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec

from pintuan.base.wire.cursors import CursorId
from pintuan.buying.groups.schemas import (
    Group,
    Order,
)
from pintuan.buying.groups.shown import group_of, order_of
from pricing.ladder import HEADCOUNT_MAX
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

GROUPS = load_queries(__package__)


class Fullness(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page of joinable groups ended: live seats of the last group, then its id."""

    taken: Annotated[int, msgspec.Meta(ge=0, le=HEADCOUNT_MAX)]
    id: CursorId


async def select_groups(pool: asyncpg.Pool, group_ids: Sequence[str], *, share_base: str) -> dict[str, Group]:
    """Returns the groups that exist, by id. `share_base` is the URL that a share code is appended to."""
    rows = await pool.fetch(GROUPS["select_groups"], group_ids)
    return {row["id"]: group_of(row, share_base) for row in rows}


async def group_of_share_code(pool: asyncpg.Pool, share_code: str) -> str | None:
    """Returns the id of the group a link leads to, or None."""
    group_id: str | None = await pool.fetchval(GROUPS["group_of_share_code"], share_code)
    return group_id


async def select_order_in_group(pool: asyncpg.Pool, group_id: str, buyer_id: str) -> Order | None:
    """Returns the buyer's order in the group, the live one before any other, or None."""
    row = await pool.fetchrow(GROUPS["select_order_in_group"], group_id, buyer_id)
    return None if row is None else order_of(row)
