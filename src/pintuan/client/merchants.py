"""Calls of a merchant on their own affairs: API keys, and sales."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, TypeAlias

from pintuan.base.wire.page import Page
from pintuan.buying.groups.schemas import GroupStatus, OrderStatus
from pintuan.client.caller import Caller
from pintuan.client.transport import Call, Part, quoted
from pintuan.people.activity.schemas import Activity
from pintuan.people.api_keys.schemas import ApiKey, MadeApiKey, NewApiKey
from pintuan.selling.sales.schemas import Sale, SoldGroup
from pintuan.shop.feeds.schemas import ImportResult

IMPORT_TIMEOUT_S: Final = 600.0
FeedType: TypeAlias = Literal[
    "text/csv",
    "text/tab-separated-values",
    "application/xml",
    "text/xml",
    "application/rss+xml",
    "application/atom+xml",
]


class MerchantCalls(Caller):
    """The merchant who calls; an admin names one by `merchant_id`."""

    async def create_api_key(self, key: NewApiKey) -> MadeApiKey:
        """Makes a key that calls as the merchant; its secret is in this answer and in no other."""
        return await self.session.send(Call("POST", "/v1/merchant/api-keys", MadeApiKey, body=key))

    async def list_api_keys(self, *, limit: int | None = None, cursor: str | None = None) -> Page[ApiKey]:
        """Returns a page of the merchant's keys, newest first."""
        query = {"limit": limit, "cursor": cursor}
        return await self.session.send(Call("GET", "/v1/merchant/api-keys", Page[ApiKey], query=query))

    async def delete_api_key(self, key_id: str) -> None:
        """Ends a key for good."""
        await self.session.send(Call("DELETE", f"/v1/merchant/api-keys/{quoted(key_id)}", type(None)))

    async def list_activity(
        self,
        *,
        action: str | None = None,
        object_id: str | None = None,
        merchant_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Activity]:
        """Returns a page of who did what to the merchant's business, newest first."""
        query = {
            "action": action,
            "object_id": object_id,
            "merchant_id": merchant_id,
            "limit": limit,
            "cursor": cursor,
        }
        return await self.session.send(Call("GET", "/v1/merchant/activity", Page[Activity], query=query))

    async def list_sales(
        self,
        *,
        deal_id: str | None = None,
        group_id: str | None = None,
        status: OrderStatus | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        merchant_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Sale]:
        """Returns a page of orders of the merchant's deals, newest first; times have an offset."""
        query = {
            "deal_id": deal_id,
            "group_id": group_id,
            "status": status,
            "created_from": _text_of(created_from),
            "created_to": _text_of(created_to),
            "merchant_id": merchant_id,
            "limit": limit,
            "cursor": cursor,
        }
        return await self.session.send(Call("GET", "/v1/merchant/orders", Page[Sale], query=query))

    async def export_sales(
        self,
        *,
        deal_id: str | None = None,
        group_id: str | None = None,
        status: OrderStatus | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        merchant_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Part:
        """Returns the same orders as CSV in `utf-8-sig`; `next_cursor` leads to the next part."""
        query = {
            "deal_id": deal_id,
            "group_id": group_id,
            "status": status,
            "created_from": _text_of(created_from),
            "created_to": _text_of(created_to),
            "merchant_id": merchant_id,
            "limit": limit,
            "cursor": cursor,
        }
        return await self.session.send(Call("GET", "/v1/merchant/orders.csv", Part, query=query))

    async def get_sale(self, order_id: str) -> Sale:
        """Returns an order as its merchant sees it."""
        return await self.session.send(Call("GET", f"/v1/merchant/orders/{quoted(order_id)}", Sale))

    async def list_sold_groups(
        self,
        *,
        deal_id: str | None = None,
        status: GroupStatus | None = None,
        merchant_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[SoldGroup]:
        """Returns a page of groups of the merchant's deals with units and revenue so far, newest first."""
        query = {
            "deal_id": deal_id,
            "status": status,
            "merchant_id": merchant_id,
            "limit": limit,
            "cursor": cursor,
        }
        return await self.session.send(Call("GET", "/v1/merchant/groups", Page[SoldGroup], query=query))

    async def import_feed(
        self, feed: bytes, *, media_type: FeedType = "text/csv", currency: str | None = None
    ) -> ImportResult:
        """Imports a product feed; bad rows are told with their line in the answer, good ones kept.

        `currency` is that of prices that name none. Answers when all is imported.
        """
        call = Call(
            "POST",
            "/v1/merchant/imports",
            ImportResult,
            query={"currency": currency},
            content=feed,
            content_type=media_type,
            timeout_s=IMPORT_TIMEOUT_S,
        )
        return await self.session.send(call)


def _text_of(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
