"""Calls on products."""

from __future__ import annotations

from pintuan.catalog.schemas import NewProduct, Product
from pintuan.client.caller import Caller
from pintuan.client.transport import Call, quoted
from pintuan.page import Page


class ProductCalls(Caller):
    """What merchants sell."""

    async def create_product(self, product: NewProduct) -> Product:
        """Adds a product with its variants; the caller is a merchant."""
        return await self.session.send(Call("POST", "/v1/products", Product, body=product))

    async def list_products(self, *, limit: int | None = None, cursor: str | None = None) -> Page[Product]:
        """Returns a page of everybody's products, newest first."""
        return await self.session.send(
            Call("GET", "/v1/products", Page[Product], query={"limit": limit, "cursor": cursor})
        )

    async def get_product(self, product_id: str) -> Product:
        """Returns a product with its variants."""
        return await self.session.send(Call("GET", f"/v1/products/{quoted(product_id)}", Product))
