"""`pintuan import` of Shopify's product CSV, which knows no currency and may know no SKU."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from pintuan.cli import main
from tests.sample_data import SHOPIFY_FILES, sample

pytestmark = pytest.mark.anyio

HEADER = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\n"


@pytest.fixture(autouse=True)
def _far_from_any_dotenv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps a developer's `.env` out of these tests."""
    monkeypatch.chdir(tmp_path)


async def run_import(content: str | bytes, database_url: str, *options: str, **environment: str) -> Result:
    """Imports a feed for the merchant `loom`, in a thread, because the command brings its own event loop."""
    data = content.encode() if isinstance(content, str) else content
    await asyncio.to_thread(Path("feed.csv").write_bytes, data)
    runner = CliRunner(env={"PINTUAN_DATABASE_URL": database_url, **environment})
    arguments = ["import", "feed.csv", "--merchant", "loom", *options]
    return await asyncio.to_thread(runner.invoke, main, arguments)


def shirts(*variants: tuple[str, str, str]) -> str:
    """A product whose variants are (size, SKU, price)."""
    rows = [f"shirt,Shirt,Size,{size},{sku},{price}\n" for size, sku, price in variants]
    return HEADER + "".join(rows)


async def variants_of(pool: asyncpg.Pool) -> dict[str, tuple[str, str]]:
    """Title -> id and SKU."""
    rows = await pool.fetch("SELECT title, id, sku FROM variants ORDER BY title")
    return {row["title"]: (row["id"], row["sku"]) for row in rows}


@pytest.mark.parametrize("name", SHOPIFY_FILES)
async def test_a_real_export_comes_in_whole_and_only_once(
    database_url: str, pool: asyncpg.Pool, name: str
) -> None:
    content = await asyncio.to_thread(sample, name)
    rows = list(csv.DictReader(content.decode().splitlines()))

    first = await run_import(content, database_url)
    assert (first.exit_code, first.stderr) == (0, "")
    products = len({row["Handle"] for row in rows})
    assert f"imported {len(rows)} of {len(rows)} rows: {products} products added, 0 changed;" in first.stdout
    assert "its prices were taken for USD" in first.stdout
    stored = await pool.fetch("SELECT images::text FROM products")
    images = sum(row["images"].count("https://") for row in stored)
    assert images == len({(row["Handle"], row["Image Src"]) for row in rows if row["Image Src"]})
    prices = await pool.fetchval("SELECT sum(list_price_minor) FROM variants")
    assert prices == round(sum(float(row["Variant Price"]) for row in rows) * 100)

    again = await run_import(content, database_url)
    assert f"0 products added, 0 changed; 0 items added, 0 changed, {len(rows)} as before" in again.stdout


async def test_the_currency_given_counts_before_the_setting(database_url: str, pool: asyncpg.Pool) -> None:
    await run_import(shirts(("S", "", "10")), database_url, PINTUAN_DEFAULT_CURRENCY="EUR")
    assert await pool.fetchval("SELECT currency FROM variants") == "EUR"
    told = await run_import(
        shirts(("S", "", "1500")), database_url, "--currency", "jpy", PINTUAN_DEFAULT_CURRENCY="EUR"
    )
    assert "taken for JPY" in told.stdout
    assert await pool.fetchval("SELECT currency || list_price_minor FROM variants") == "JPY1500"
    wrong = await run_import(shirts(("S", "", "10")), database_url, "--currency", "gold")
    assert wrong.exit_code != 0
    assert "not an active ISO 4217 currency code" in wrong.output


async def test_a_renamed_option_keeps_the_variant_its_sku_names(
    database_url: str, pool: asyncpg.Pool
) -> None:
    await run_import(shirts(("Small", "S-1", "10"), ("Medium", "S-2", "10")), database_url)
    before = await variants_of(pool)
    result = await run_import(shirts(("S", "S-1", "10"), ("Medium", "S-2", "10")), database_url)
    assert "0 items added, 1 changed, 1 as before" in result.stdout
    assert await variants_of(pool) == {"Medium": before["Medium"], "S": before["Small"]}


async def test_variants_may_swap_their_skus(database_url: str, pool: asyncpg.Pool) -> None:
    await run_import(shirts(("S", "1", "10"), ("M", "2", "10")), database_url)
    before = await variants_of(pool)
    result = await run_import(shirts(("S", "2", "10"), ("M", "1", "10")), database_url)
    assert result.exit_code == 0, result.output
    assert await variants_of(pool) == {"S": (before["S"][0], "2"), "M": (before["M"][0], "1")}


async def test_a_sku_freed_in_the_feed_is_taken_from_the_variant_it_no_longer_names(
    database_url: str, pool: asyncpg.Pool
) -> None:
    await run_import(shirts(("S", "1", "10"), ("M", "2", "10")), database_url)
    result = await run_import(shirts(("M", "1", "10")), database_url)
    assert result.exit_code == 0, result.output
    after = await variants_of(pool)
    assert after["M"][1] == "1"
    assert after["S"][1].startswith("1~")
    again = await run_import(shirts(("M", "1", "10")), database_url)
    assert "0 items added, 0 changed, 1 as before" in again.stdout


async def test_a_sku_added_later_changes_the_variant_and_adds_none(
    database_url: str, pool: asyncpg.Pool
) -> None:
    await run_import(shirts(("S", "", "10")), database_url)
    before = await variants_of(pool)
    again = await run_import(shirts(("S", "S-1", "10")), database_url)
    assert again.exit_code == 0, again.output
    assert await variants_of(pool) == {"S": (before["S"][0], "S-1")}


async def test_a_broken_document_keeps_what_came_before_and_exits_with_1(
    database_url: str, pool: asyncpg.Pool
) -> None:
    item = "<item><id>{n}</id><title>Pot</title><price>1 EUR</price></item>\n"
    broken = "<rss><channel>\n" + item.format(n=1) + item.format(n=2) + "<item></channel>"
    result = await run_import(broken, database_url)
    assert result.exit_code == 1
    assert "imported 2 of 2 rows: 2 products added" in result.stdout
    assert "the document breaks at line 4, in item 3: mismatched tag" in result.stderr
    assert await pool.fetchval("SELECT count(*) FROM variants") == 2
