"""Groups as a viewer sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.base.errors import NotFound
from pintuan.buying.groups import store
from pintuan.buying.groups.tiers import with_tiers
from pintuan.http.pagination import Page, decode_token, encode_token, fitting

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from groups.engine import GroupEngine
    from pintuan.base.auth import Principal
    from pintuan.buying.groups.schemas import Group, JoinableGroup
    from pintuan.shop.deals.schemas import Deal

# The number of times a page is filled up for groups that have just ended.
LOOKS_MAX: Final = 3


async def get_group(pool: asyncpg.Pool, group_id: str, viewer: Principal | None, *, share_base: str) -> Group:
    """Returns the group, with the viewer's own order if there is one; raises NotFound.

    `share_base` is the URL that a share code is appended to, here and below.
    """
    groups = await store.select_groups(pool, [group_id], share_base=share_base)
    if group_id not in groups:
        raise NotFound("group")
    group = groups[group_id]
    if viewer is None or viewer.role != "buyer":
        return group
    my_order = await store.select_order_in_group(pool, group_id, viewer.subject)
    return msgspec.structs.replace(group, my_order=my_order)


async def read_groups(pool: asyncpg.Pool, group_ids: Sequence[str], *, share_base: str) -> dict[str, Group]:
    """Returns the groups that exist, by id."""
    return await store.select_groups(pool, group_ids, share_base=share_base)


async def get_shared_group(
    pool: asyncpg.Pool, share_code: str, viewer: Principal | None, *, share_base: str
) -> Group:
    """Returns the group behind a shared link; raises NotFound."""
    group_id = await store.group_of_share_code(pool, share_code)
    if group_id is None:
        raise NotFound("group")
    return await get_group(pool, group_id, viewer, share_base=share_base)


async def list_joinable(
    pool: asyncpg.Pool, engine: GroupEngine, deal: Deal, *, share_base: str, cursor: str | None, limit: int
) -> Page[JoinableGroup]:
    """Returns a page of the deal's groups one can join now, fullest first; raises InvalidInput.

    Where many groups are about to be closed, a page may be short and still not the last.
    """
    after = None if cursor is None else decode_token(cursor, store.Fullness)
    shown: list[tuple[store.Fullness, Group]] = []
    for _ in range(LOOKS_MAX):
        listed = await engine.joinable_groups(
            deal.id, after=None if after is None else (after.taken, after.id), count=limit + 1 - len(shown)
        )
        groups = await store.select_groups(
            pool, [group_id for _, group_id in listed.places], share_base=share_base
        )
        shown += [
            (store.Fullness(taken, group_id), groups[group_id])
            for taken, group_id in listed.places
            if group_id in groups and _takes_members(groups[group_id])
        ]
        after = None if listed.more_behind is None else store.Fullness(*listed.more_behind)
        if after is None or len(shown) > limit:
            break
    items = [with_tiers(group, deal) for _, group in shown[:limit]]
    count = fitting(items)
    if len(shown) > count:
        after = shown[count - 1][0]
    return Page(items=items[:count], next_cursor=None if after is None else encode_token(after))


def _takes_members(group: Group) -> bool:
    """Checks a lane's word: Redis may learn late of a group's end, and early of its beginning."""
    return (
        group.status == "open"
        and group.deadline > group.server_time
        and group.headcount + group.held < group.max_headcount
    )
