"""The marketplace as the show's merchants and shoppers see it: one client, a token for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pintuan.client import Pintuan, every
from pintuan.running.demo.errors import ShopError
from pintuan.shop.catalog.schemas import Product

if TYPE_CHECKING:
    from pintuan.base.auth import Role


class Shop:
    """Public calls are made on `anybody`, the rest on the client of their caller."""

    def __init__(self, anybody: Pintuan, tokens: Mapping[tuple[Role, str], str]) -> None:
        self.anybody = anybody
        self._callers = {caller: anybody.calling_as(token) for caller, token in tokens.items()}

    def merchant(self, name: str) -> Pintuan:
        """Returns the marketplace as a merchant calls it."""
        return self._callers["merchant", name]

    def buyer(self, name: str) -> Pintuan:
        """Returns the marketplace as a shopper calls it."""
        return self._callers["buyer", name]

    async def products_of(self, merchant: str, count: int) -> list[Product]:
        """Returns the `count` products of a merchant; raises ShopError when fewer are there."""
        found = [product async for product in every(self.anybody.list_products, merchant_id=merchant)]
        if len(found) < count:
            raise ShopError(
                f"{self.anybody.url} does not show the products just imported; "
                "is PINTUAN_DATABASE_URL the database behind it?"
            )
        return found
