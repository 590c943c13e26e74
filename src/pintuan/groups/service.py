"""Groups as a viewer sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pintuan.deals.service import get_deal
from pintuan.errors import NotFound
from pintuan.groups import store
from pintuan.pagination import Page, decode_token, encode_token

if TYPE_CHECKING:
    from pintuan.auth import Principal
    from pintuan.bootstrap import Resources
    from pintuan.groups.schemas import Group


async def get_group(resources: Resources, group_id: str, viewer: Principal | None) -> Group:
    """Returns the group, with the viewer's own order if there is one; raises NotFound."""
    groups = await store.select_groups(resources.pool, [group_id], share_base=resources.settings.share_base)
    if group_id not in groups:
        raise NotFound("group")
    group = groups[group_id]
    if viewer is None or viewer.role != "buyer":
        return group
    my_order = await store.select_order_in_group(resources.pool, group_id, viewer.subject)
    return msgspec.structs.replace(group, my_order=my_order)


async def get_shared_group(resources: Resources, share_code: str, viewer: Principal | None) -> Group:
    """Returns the group behind a shared link; raises NotFound."""
    group_id = await store.group_of_share_code(resources.pool, share_code)
    if group_id is None:
        raise NotFound("group")
    return await get_group(resources, group_id, viewer)


async def list_joinable(resources: Resources, deal_id: str, *, cursor: str | None, limit: int) -> Page[Group]:
    """Returns a page of the deal's groups one can join now, fullest first; raises NotFound, InvalidInput."""
    await get_deal(resources.pool, deal_id)
    after = None if cursor is None else decode_token(cursor, store.Fullness)
    places = await store.joinable_groups(resources.pool, deal_id, after=after, limit=limit + 1)
    shown = places[:limit]
    groups = await store.select_groups(
        resources.pool, [place.id for place in shown], share_base=resources.settings.share_base
    )
    return Page(
        items=[groups[place.id] for place in shown],
        next_cursor=encode_token(shown[-1]) if len(places) > limit else None,
    )
