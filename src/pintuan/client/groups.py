"""Calls on groups, and joining them."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from pintuan.base.wire.page import Page
from pintuan.buying.groups.schemas import Group, JoinableGroup, Order
from pintuan.buying.orders.schemas import NewOrder
from pintuan.client import watch
from pintuan.client.caller import Caller, new_key
from pintuan.client.transport import Call, quoted


class GroupCalls(Caller):
    """Time-limited group orders of a deal.

    A call that places a seat has an idempotency key, its own unless `key` is given. Repeating the call with
    the same key, from another process too, returns the same order.
    """

    async def join_deal(self, deal_id: str, order: NewOrder, *, key: str | None = None) -> Order:
        """Takes a seat in the fullest open group, or opens one."""
        return await self._place(f"/v1/deals/{quoted(deal_id)}/join", order, key)

    async def open_group(self, deal_id: str, order: NewOrder, *, key: str | None = None) -> Order:
        """Opens a group with the buyer as its leader."""
        return await self._place(f"/v1/deals/{quoted(deal_id)}/groups", order, key)

    async def join_group(self, group_id: str, order: NewOrder, *, key: str | None = None) -> Order:
        """Takes a seat in this group only."""
        return await self._place(f"/v1/groups/{quoted(group_id)}/join", order, key)

    async def buy_alone(self, deal_id: str, order: NewOrder, *, key: str | None = None) -> Order:
        """Buys without a group, at the list price."""
        return await self._place(f"/v1/deals/{quoted(deal_id)}/buy", order, key)

    async def list_joinable_groups(
        self, deal_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[JoinableGroup]:
        """Returns a page of the groups one can join now, fullest first."""
        query = {"limit": limit, "cursor": cursor}
        path = f"/v1/deals/{quoted(deal_id)}/groups"
        return await self.session.send(Call("GET", path, Page[JoinableGroup], query=query))

    async def get_group(self, group_id: str) -> Group:
        """Returns a group; `my_order` is the caller's own."""
        return await self.session.send(Call("GET", f"/v1/groups/{quoted(group_id)}", Group))

    async def get_shared_group(self, share_code: str, *, invite: str | None = None) -> Group:
        """Returns the group behind a link; `invite` is the code of a personal one."""
        path = f"/v1/share/{quoted(share_code)}"
        return await self.session.send(Call("GET", path, Group, query={"invite": invite}))

    def watch_group(self, group_id: str) -> AsyncGenerator[Group, None]:
        """Yields the group now and after every change until it has ended; see `pintuan.client.watch`."""
        return watch.watch_group(self.session, group_id)

    async def _place(self, path: str, order: NewOrder, key: str | None) -> Order:
        return await self.session.send(Call("POST", path, Order, body=order, key=key or new_key()))
