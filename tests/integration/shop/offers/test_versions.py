"""What a deal offers is kept in versions, each of which holds from the commit of a change on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import sql
from pintuan.base.auth import Principal
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.money.payments.sandbox.methods import SANDBOX_RULES
from pintuan.shop.deals.schemas import NewDeal, NewTier
from pintuan.shop.deals.service import create_deal
from tests.interleaving import holding
from tests.market import Market

pytestmark = pytest.mark.anyio

MIGRATION = Path(sql.__file__).parent / "migrations" / "0012_offers.sql"
RETITLE_PRODUCT = "UPDATE products SET title = $1 WHERE id = (SELECT product_id FROM deals WHERE id = $2)"
RETITLE_DEAL = "UPDATE deals SET title = $1 WHERE id = $2"


async def versions(pool: asyncpg.Pool, deal: str) -> list[tuple[str, str]]:
    """Titles of the deal and its product in each version, the first one first."""
    rows = await pool.fetch(
        "SELECT title, product_title FROM offers WHERE deal_id = $1 ORDER BY valid_from", deal
    )
    return [(row["title"], row["product_title"]) for row in rows]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE variants SET title = 'Green tea'",
        "UPDATE variants SET sku = 'TEA-2'",
        """UPDATE variants SET options = '[["Size", "L"]]'""",
        """UPDATE variants SET images = '["https://img.example/tea.jpg"]'""",
        """UPDATE variants SET attributes = '{"vendor": "Harbour & Rye"}'""",
        """UPDATE variants SET attributes = '{"barcode": "4006381333931"}'""",
        "UPDATE products SET title = 'Green tea'",
        "UPDATE products SET description = 'It is green.'",
        """UPDATE products SET images = '["https://img.example/tea.jpg"]'""",
        "UPDATE deals SET title = 'Green tea'",
    ],
)
async def test_each_part_of_an_offer_makes_a_version_when_it_changes_and_none_when_it_is_written_again(
    market: Market, change: str
) -> None:
    deal = await market.deal()
    assert await versions(market.pool, deal) == [("Tea", "Tea")]

    await market.pool.execute(change)
    assert len(await versions(market.pool, deal)) == 2

    await market.pool.execute(change)
    assert len(await versions(market.pool, deal)) == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE variants SET list_price_minor = 2000, position = 3",
        """UPDATE variants SET attributes = '{"mpn": "7"}'""",
        "UPDATE products SET visibility = 'hidden'",
        "UPDATE deals SET stock_units = stock_units + 1, nudges = false",
    ],
)
async def test_what_is_not_offered_makes_no_version(market: Market, change: str) -> None:
    deal = await market.deal()
    await market.pool.execute(change)
    assert await versions(market.pool, deal) == [("Tea", "Tea")]


async def test_a_transaction_makes_one_version_of_all_it_changed(market: Market) -> None:
    deal = await market.deal()
    async with market.pool.acquire() as connection, connection.transaction():
        await connection.execute(RETITLE_PRODUCT, "Half way", deal)
        await connection.execute(RETITLE_PRODUCT, "Coffee", deal)
        await connection.execute(RETITLE_DEAL, "Coffee sale", deal)
    assert await versions(market.pool, deal) == [("Tea", "Tea"), ("Coffee sale", "Coffee")]


async def test_a_deal_that_has_ended_offers_what_it_offered(market: Market) -> None:
    ended, past, running = [await market.deal() for _ in range(3)]
    await market.pool.execute("UPDATE deals SET status = 'ended' WHERE id = $1", ended)
    await market.pool.execute(
        "UPDATE deals SET starts_at = app_now() - interval '2 s', ends_at = app_now() - interval '1 s'"
        " WHERE id = $1",
        past,
    )
    await market.pool.execute("UPDATE products SET title = 'Coffee'")
    assert [len(await versions(market.pool, deal)) for deal in (ended, past, running)] == [1, 1, 2]


async def test_of_two_changes_at_once_the_later_version_has_both(market: Market, database_url: str) -> None:
    deal = await market.deal()
    async with holding(database_url, RETITLE_DEAL, "Coffee sale", deal) as merchant:
        renaming = asyncio.create_task(market.pool.execute(RETITLE_PRODUCT, "Coffee", deal))
        await merchant.waiters()
        await merchant.commit()
        await renaming
    assert await versions(market.pool, deal) == [
        ("Tea", "Tea"),
        ("Coffee sale", "Tea"),
        ("Coffee sale", "Coffee"),
    ]


async def test_a_deal_made_while_its_product_is_renamed_offers_the_new_name(
    market: Market, database_url: str
) -> None:
    row = await market.pool.fetchrow(
        "SELECT product_id, variant_id FROM deals WHERE id = $1", await market.deal()
    )
    assert row is not None
    rename = "UPDATE products SET title = 'Coffee' WHERE id = $1"
    offer = NewDeal(
        variant_id=row["variant_id"],
        ladder=[NewTier(2, 900)],
        min_headcount=2,
        max_headcount=2,
        group_ttl_seconds=60,
        stock=1,
        per_buyer_units=1,
    )
    settings = Settings(database_url=database_url)
    async with (
        open_pool(settings, size_max=1, application_name="tests") as app_pool,
        holding(database_url, rename, row["product_id"]) as importing,
    ):
        making = asyncio.create_task(
            create_deal(app_pool, Principal("acme", "merchant"), offer, rules=SANDBOX_RULES)
        )
        await importing.waiters()
        await importing.commit()
        made = await making
    assert await versions(market.pool, made.id) == [("Coffee", "Coffee")]


async def test_a_version_holds_from_the_commit_on_and_not_from_the_first_statement(market: Market) -> None:
    deal = await market.deal()
    async with market.pool.acquire() as connection, connection.transaction():
        await connection.execute(RETITLE_PRODUCT, "Coffee", deal)
        # Somebody orders while the change is under way, and cannot see it.
        meanwhile = await market.pool.fetchval("SELECT app_now()")
    assert await offered(market.pool, deal, meanwhile) == "Tea"
    assert await offered(market.pool, deal, await market.pool.fetchval("SELECT app_now()")) == "Coffee"


async def test_something_is_offered_at_any_time_even_if_a_clock_went_back(market: Market) -> None:
    deal = await market.deal()
    moment = await market.pool.fetchval("SELECT app_now() - interval '1 year'")
    assert await offered(market.pool, deal, moment) == "Tea"


async def offered(pool: asyncpg.Pool, deal: str, moment: Any) -> str | None:
    """The title of the product that a deal offered at a time."""
    title: str | None = await pool.fetchval(
        "SELECT offer ->> 'product_title' FROM offer_at($1, $2)", deal, moment
    )
    return title


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE offers SET title = 'Coffee'",
        "UPDATE offers SET title = title WHERE false",
        "DELETE FROM offers",
        "TRUNCATE offers",
    ],
)
async def test_an_offer_is_never_changed(market: Market, tampering: str) -> None:
    deal = await market.deal()
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="is refused"):
        await market.pool.execute(tampering)
    assert await versions(market.pool, deal) == [("Tea", "Tea")]


async def test_the_migration_gives_deals_of_before_what_they_offer_now(market: Market) -> None:
    deals = [await market.deal() for _ in range(2)]
    text = MIGRATION.read_text()
    async with market.pool.acquire() as connection, connection.transaction():
        # As before the migration: triggers do not fire for a replica.
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("DELETE FROM offers")
        await connection.execute(text[text.index("INSERT INTO offers") :])
    for deal in deals:
        assert await versions(market.pool, deal) == [("Tea", "Tea")]
        assert await offered(market.pool, deal, await market.pool.fetchval("SELECT app_now()")) == "Tea"
