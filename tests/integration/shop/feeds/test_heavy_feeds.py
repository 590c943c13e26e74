"""A row that makes its product too large is refused with its line, whatever is beside it or there already."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest

from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.shop.catalog.limits import PRODUCT_BYTES_MAX
from pintuan.shop.feeds.formats import BadRow, FeedItem
from pintuan.shop.feeds.service import FeedImport

pytestmark = pytest.mark.anyio

REASON = f"makes its product, with its variants, larger than {PRODUCT_BYTES_MAX} bytes"


def item(line: int, *, pictures: int = 0, own: int = 0, group: str = "K", price: int = 500) -> FeedItem:
    """An item with pictures of two thousand characters, for its product and of its own."""
    addresses = [f"https://img.example/{line}/{n:03}/{'y' * 1950}" for n in range(max(pictures, own))]
    return FeedItem(
        line=line,
        item_ref=f"{group}-{line}",
        group_ref=f"group:{group}",
        sku=f"{group}-{line}",
        title="Kettle",
        variant_title=f"No. {line}",
        description="Boils",
        images=tuple(addresses[:pictures]),
        variant_images=tuple(addresses[:own]),
        options=(),
        list_price_minor=price,
        currency="USD",
        currency_assumed=False,
        attributes={},
    )


async def imported(database_url: str, items: list[FeedItem]) -> tuple[list[BadRow], int]:
    """What an import refuses, and how many batches it writes."""
    refused: list[BadRow] = []
    batches = 0

    def count() -> None:
        nonlocal batches
        batches += 1

    settings = Settings(database_url=database_url)
    async with open_pool(settings, size_max=1, application_name="tests") as app_pool:
        await FeedImport(app_pool, "teahouse", on_bad_row=refused.append).run(items, on_batch=count)
    return sorted(refused), batches


async def variants(pool: asyncpg.Pool) -> list[str]:
    rows = await pool.fetch("SELECT sku FROM variants ORDER BY position, sku")
    return [row["sku"] for row in rows]


async def largest(pool: asyncpg.Pool) -> int:
    size: int = await pool.fetchval(
        "SELECT max(octet_length(images::text) + octet_length(variants::text)) FROM products_shown"
    )
    return size


async def test_one_row_of_half_a_megabyte_is_refused_and_its_neighbours_are_not(
    database_url: str, pool: asyncpg.Pool
) -> None:
    heavy = item(2, pictures=250, group="H")

    refused, _ = await imported(database_url, [item(1), heavy, item(3)])

    assert refused == [BadRow(2, REASON)]
    assert await variants(pool) == ["K-1", "K-3"]
    assert await pool.fetchval("SELECT count(*) FROM products") == 1


async def test_the_rows_of_a_product_that_fit_are_kept(database_url: str, pool: asyncpg.Pool) -> None:
    # Pictures count where they are kept: with the product, and with the variant.
    feed = [item(line, pictures=20, own=20) for line in range(1, 6)] + [item(6)]

    for _ in range(2):
        refused, _ = await imported(database_url, feed)
        assert refused == [BadRow(line, REASON) for line in (4, 5)]
        assert await variants(pool) == ["K-1", "K-2", "K-3", "K-6"]
    assert await largest(pool) <= PRODUCT_BYTES_MAX


async def test_what_other_imports_have_left_counts(database_url: str, pool: asyncpg.Pool) -> None:
    assert await imported(database_url, [item(line, own=50) for line in (1, 2)]) == ([], 1)

    refused, _ = await imported(database_url, [item(3, own=20), item(4, own=50), item(5)])

    assert refused == [BadRow(4, REASON)]
    assert await variants(pool) == ["K-1", "K-2", "K-3", "K-5"]
    # Nor does it grow where rows are listed anew only to be refused.
    refused, _ = await imported(
        database_url, [item(6, own=50), item(7, own=50), item(1), item(2, own=50), item(3)]
    )
    assert await largest(pool) <= PRODUCT_BYTES_MAX


async def test_a_product_of_before_the_bound_can_be_imported_again(
    database_url: str, pool: asyncpg.Pool
) -> None:
    await imported(database_url, [item(1), item(2)])
    pictures = [f"https://img.example/{n}/{'y' * 1900}" for n in range(200)]
    await pool.execute(
        "UPDATE variants SET images = $1 WHERE sku = 'K-2'", msgspec.json.encode(pictures).decode()
    )

    assert await imported(database_url, [item(1, price=700)]) == ([], 1)

    assert await pool.fetchval("SELECT list_price_minor FROM variants WHERE sku = 'K-1'") == 700
    assert await imported(database_url, [item(3)]) == ([BadRow(3, REASON)], 1)
    assert await imported(database_url, [item(2)]) == ([], 1)
    assert await largest(pool) < PRODUCT_BYTES_MAX
