"""Calls on a buyer's orders."""

from __future__ import annotations

from pintuan.base.wire.page import Page
from pintuan.buying.groups.schemas import Order, OrderStatus
from pintuan.client.caller import Caller, new_key
from pintuan.client.transport import Call, quoted
from pintuan.money.receipts.schemas import Receipt


class OrderCalls(Caller):
    """A buyer's seats and solo purchases."""

    async def list_orders(
        self, *, status: OrderStatus | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page[Order]:
        """Returns a page of the caller's orders, newest first."""
        query = {"status": status, "limit": limit, "cursor": cursor}
        return await self.session.send(Call("GET", "/v1/orders", Page[Order], query=query))

    async def get_order(self, order_id: str) -> Order:
        """Returns an order of the caller with its group."""
        return await self.session.send(Call("GET", f"/v1/orders/{quoted(order_id)}", Order))

    async def get_receipt(self, order_id: str) -> Receipt:
        """Returns what an order of the caller cost, and how that came about."""
        return await self.session.send(Call("GET", f"/v1/orders/{quoted(order_id)}/receipt", Receipt))

    async def cancel_order(self, order_id: str, *, key: str | None = None) -> Order:
        """Frees the seat while the group is open; `key` as in calls that place one."""
        return await self.session.send(
            Call("POST", f"/v1/orders/{quoted(order_id)}/cancel", Order, key=key or new_key())
        )
