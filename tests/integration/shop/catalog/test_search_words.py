"""What products are found by follows every change of them, and changes that meet lose none."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.interleaving import holding

pytestmark = pytest.mark.anyio

ADD_VARIANT = (
    "INSERT INTO variants (id, product_id, merchant_id, position, sku, title, list_price_minor, currency)"
    " VALUES ('var_' || $1::text, 'prd_1', 'acme', 1, $1, 'One', 100, 'USD')"
)


@pytest.fixture(autouse=True)
async def _product(pool: asyncpg.Pool) -> None:
    """One product of one variant."""
    await pool.execute("INSERT INTO merchants (id) VALUES ('acme')")
    await pool.execute("INSERT INTO products (id, merchant_id, title) VALUES ('prd_1', 'acme', 'Kettle')")
    await pool.execute(ADD_VARIANT, "first")


async def found(pool: asyncpg.Pool, query: str) -> list[str]:
    rows = await pool.fetch(
        "SELECT id FROM products_page($1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 10, false)", query
    )
    return [row["id"] for row in rows]


async def test_two_variants_added_at_once_are_both_found(pool: asyncpg.Pool, database_url: str) -> None:
    async with holding(database_url, ADD_VARIANT, "second") as earlier:
        later = asyncio.create_task(pool.execute(ADD_VARIANT, "third"))
        await earlier.waiters(1)
        await earlier.commit()
        await later
    for sku in ("first", "second", "third"):
        assert await found(pool, f"kettle {sku}") == ["prd_1"]


async def test_a_variant_that_moves_or_goes_takes_its_words_along(pool: asyncpg.Pool) -> None:
    await pool.execute("INSERT INTO products (id, merchant_id, title) VALUES ('prd_2', 'acme', 'Teapot')")
    await pool.execute("UPDATE variants SET product_id = 'prd_2'")
    assert (await found(pool, "first"), await found(pool, "kettle first")) == (["prd_2"], [])
    await pool.execute("DELETE FROM variants")
    assert await found(pool, "first") == []
    assert await found(pool, "teapot") == ["prd_2"]


async def test_more_products_than_are_fetched_at_once_are_found_newest_first(pool: asyncpg.Pool) -> None:
    await pool.execute(
        "INSERT INTO products (id, merchant_id, title, created_at)"
        " SELECT 'prd_many_' || n, 'acme', 'Common', app_now() - n * interval '1 second'"
        " FROM generate_series(1, 2100) n"
    )
    await pool.execute(
        "INSERT INTO variants (id, product_id, merchant_id, position, sku, title, list_price_minor, currency)"
        " SELECT 'var_' || id, id, 'acme', 1, 'X', 'One', 100, 'USD' FROM products WHERE title = 'Common'"
    )
    assert await found(pool, "comm") == [f"prd_many_{n}" for n in range(1, 11)]
    assert await found(pool, "kettle") == ["prd_1"]
    deals = await pool.fetch(
        "SELECT id FROM deals_page('comm', NULL, NULL, NULL, NULL, NULL, NULL, 'newest', NULL, NULL, 10,"
        " false)"
    )
    assert deals == []
    await pool.execute(
        "INSERT INTO deals (id, merchant_id, product_id, variant_id, title, currency, list_price_minor,"
        " tier_headcounts, tier_prices_minor, min_headcount, max_headcount, group_ttl_ms, stock_units,"
        " per_buyer_units) VALUES ('deal_1', 'acme', 'prd_many_7', 'var_prd_many_7', 'Offer', 'USD', 100,"
        " '{2}', '{90}', 2, 5, 60000, 5, 1)"
    )
    for query in ("comm", "offer"):
        deals = await pool.fetch(
            "SELECT id FROM deals_page($1, NULL, NULL, NULL, NULL, NULL, NULL, 'newest', NULL, NULL, 10,"
            " false)",
            query,
        )
        assert [deal["id"] for deal in deals] == ["deal_1"]


async def test_what_an_index_calls_is_bound_and_needs_no_search_path(pool: asyncpg.Pool) -> None:
    """As dumps, restores and maintenance run it."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL search_path = ''")
        words = await connection.fetchval("SELECT public.search_document('Théière 绿茶')::text")
        await connection.execute("REINDEX TABLE public.deals")
        await connection.execute("ANALYZE public.deals")
    assert words == "'theiere':1 '绿':2 '茶':3"


@pytest.mark.parametrize(
    ("query", "looked_for"),
    [
        ("a " * 100, "'a':*"),
        ("b a b a", "'b' & 'a':*"),
        (" ".join("abcdefghijkl"), "'a' & 'b' & 'c' & 'd' & 'e' & 'f' & 'g' & 'h'"),
        ("word-" * 40, "'word':*"),
        ("茶 茶 x", "'茶':* & 'x':*"),
        ("x" * 200, f"'{'x' * 32}':*"),
        ("茶" * 200, " <-> ".join(["'茶':*"] * 32)),
        ("", ""),
    ],
)
async def test_a_query_looks_for_few_and_different_words(
    pool: asyncpg.Pool, query: str, looked_for: str
) -> None:
    assert await pool.fetchval("SELECT search_query($1)::text", query) == looked_for
