"""Everybody in the show calls with their own token, and products that are missing point at the database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pintuan.base.auth import Role
from pintuan.running.demo.errors import ShopError
from pintuan.running.demo.shop import Shop
from pintuan.shop.catalog.schemas import Product
from tests.unit.client.answering import Answers, client_of, ok
from tests.unit.running.demo.samples import group, order

pytestmark = pytest.mark.anyio

TOKENS: dict[tuple[Role, str], str] = {("buyer", "mei"): "mei-token", ("merchant", "acme"): "acme-token"}


def product(name: str) -> dict[str, object]:
    made: dict[str, object] = dict.fromkeys(Product.__struct_fields__, "")
    return made | {
        "id": name,
        "images": [],
        "options": [],
        "variants": [],
        "visibility": "public",
        "created_at": datetime(2030, 1, 1, tzinfo=UTC),
    }


async def test_each_calls_with_their_own_token() -> None:
    answers = Answers(ok(order("held", of=group())), ok(group()))
    async with client_of(answers) as pintuan:
        shop = Shop(pintuan, TOKENS)
        await shop.buyer("mei").get_order("ord_1")
        await shop.anybody.get_group("grp_1")
        await shop.merchant("acme").get_group("grp_1")
    assert answers.headers("authorization") == ["Bearer mei-token", None, "Bearer acme-token"]


async def test_a_merchants_products_are_asked_for_by_name() -> None:
    answers = Answers(ok({"items": [product("prd_1"), product("prd_2")], "next_cursor": None}))
    async with client_of(answers) as pintuan:
        products = await Shop(pintuan, TOKENS).products_of("acme", 2)
    assert [product.id for product in products] == ["prd_1", "prd_2"]
    assert answers.requests[0].url.params["merchant_id"] == "acme"


async def test_products_that_are_not_there_point_at_the_database() -> None:
    answers = Answers(ok({"items": [], "next_cursor": None}))
    async with client_of(answers) as pintuan:
        with pytest.raises(ShopError, match="PINTUAN_DATABASE_URL"):
            await Shop(pintuan, TOKENS).products_of("acme", 1)
