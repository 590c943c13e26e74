"""Calls on products."""

from __future__ import annotations

from pintuan.base.wire.page import Page
from pintuan.client.caller import Caller
from pintuan.client.transport import Call, quoted
from pintuan.shop.catalog.schemas import NewProduct, Product, ProductChange


class ProductCalls(Caller):
    """Merchants' products."""

    async def create_product(self, product: NewProduct) -> Product:
        """Adds a product with its variants; the caller is a merchant."""
        return await self.session.send(Call("POST", "/v1/products", Product, body=product))

    async def list_products(
        self,
        *,
        q: str | None = None,
        merchant_id: str | None = None,
        currency: str | None = None,
        price_min: int | None = None,
        price_max: int | None = None,
        on_deal: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Product]:
        """Returns a page of everybody's products that pass all filters, newest first."""
        query = {
            "q": q,
            "merchant_id": merchant_id,
            "currency": currency,
            "price_min": price_min,
            "price_max": price_max,
            "on_deal": on_deal,
            "limit": limit,
            "cursor": cursor,
        }
        return await self.session.send(Call("GET", "/v1/products", Page[Product], query=query))

    async def get_product(self, product_id: str) -> Product:
        """Returns a product with its variants."""
        return await self.session.send(Call("GET", f"/v1/products/{quoted(product_id)}", Product))

    async def change_product(self, product_id: str, change: ProductChange) -> Product:
        """Changes the merchant's product or its variants; what `change` leaves out stays."""
        path = f"/v1/products/{quoted(product_id)}"
        return await self.session.send(Call("PATCH", path, Product, body=change))
