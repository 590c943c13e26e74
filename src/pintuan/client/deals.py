"""Calls on deals."""

from __future__ import annotations

from pintuan.base.wire.page import Page
from pintuan.client.caller import Caller
from pintuan.client.transport import Call, quoted
from pintuan.shop.deals.schemas import Deal, DealChange, DealSort, DealStatus, NewDeal


class DealCalls(Caller):
    """Offers whose unit price falls with the headcount."""

    async def create_deal(self, deal: NewDeal) -> Deal:
        """Puts a variant of the merchant who calls on offer."""
        return await self.session.send(Call("POST", "/v1/deals", Deal, body=deal))

    async def list_deals(
        self,
        *,
        q: str | None = None,
        merchant_id: str | None = None,
        product_id: str | None = None,
        variant_id: str | None = None,
        status: DealStatus | None = None,
        currency: str | None = None,
        price_max: int | None = None,
        sort: DealSort | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Deal]:
        """Returns a page of everybody's deals that pass all filters, newest first unless `sort` says else."""
        query = {
            "q": q,
            "merchant_id": merchant_id,
            "product_id": product_id,
            "variant_id": variant_id,
            "status": status,
            "currency": currency,
            "price_max": price_max,
            "sort": sort,
            "limit": limit,
            "cursor": cursor,
        }
        return await self.session.send(Call("GET", "/v1/deals", Page[Deal], query=query))

    async def get_deal(self, deal_id: str) -> Deal:
        """Returns a deal."""
        return await self.session.send(Call("GET", f"/v1/deals/{quoted(deal_id)}", Deal))

    async def change_deal(self, deal_id: str, change: DealChange) -> Deal:
        """Changes title, end, stock or nudges of the merchant's deal; what `change` leaves out stays."""
        return await self.session.send(Call("PATCH", f"/v1/deals/{quoted(deal_id)}", Deal, body=change))

    async def pause_deal(self, deal_id: str) -> Deal:
        """Refuses new joins until `resume_deal`; no group's clock stops."""
        return await self.session.send(Call("POST", f"/v1/deals/{quoted(deal_id)}/pause", Deal))

    async def resume_deal(self, deal_id: str) -> Deal:
        """Takes a pause back."""
        return await self.session.send(Call("POST", f"/v1/deals/{quoted(deal_id)}/resume", Deal))

    async def end_deal(self, deal_id: str) -> Deal:
        """Forbids new groups for good; those open run on to their own end."""
        return await self.session.send(Call("POST", f"/v1/deals/{quoted(deal_id)}/end", Deal))
