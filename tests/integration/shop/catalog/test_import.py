"""`pintuan import` into a real database, as a merchant with an imperfect feed would run it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from pintuan.cli import main
from pintuan.shop.catalog import limits

pytestmark = pytest.mark.anyio

FEED = (
    "id,title,description,image_link,price,item_group_id,color\n"
    "K-1,Kettle,Boils,https://img.example/red.jpg,19.99 USD,K,Red\n"
    "K-2,Kettle,Boils,https://img.example/blue.jpg,21.00 USD,K,Blue\n"
    "C-1,Cup,Holds,,5.00 USD,,\n"
    "B-1,Broken,,,nothing,,\n"
    "P-1,Pan,Fries,,30.00 EUR,,\n"
)


@pytest.fixture(autouse=True)
def _far_from_any_dotenv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps a developer's `.env` out of these tests."""
    monkeypatch.chdir(tmp_path)


async def run_import(
    feed: str | bytes, database_url: str, *options: str, merchant: str = "teahouse"
) -> Result:
    """Writes the feed to a file and imports it."""
    content = feed.encode() if isinstance(feed, str) else feed
    await asyncio.to_thread(Path("feed.csv").write_bytes, content)
    return await run_pintuan("feed.csv", database_url, *options, merchant=merchant)


async def run_pintuan(path: str, database_url: str, *options: str, merchant: str = "teahouse") -> Result:
    """Runs the command in a thread, because it brings its own event loop."""
    runner = CliRunner(env={"PINTUAN_DATABASE_URL": database_url})
    arguments = ["import", path, "--merchant", merchant, *options]
    return await asyncio.to_thread(runner.invoke, main, arguments)


async def catalogue(pool: asyncpg.Pool) -> list[tuple[str, str, str, int, str]]:
    rows = await pool.fetch(
        "SELECT p.title, v.sku, v.title AS variant, v.list_price_minor, v.currency"
        " FROM products p JOIN variants v ON v.product_id = p.id ORDER BY p.title, v.position"
    )
    return [tuple(row) for row in rows]


async def test_good_rows_are_imported_and_bad_ones_reported(database_url: str, pool: asyncpg.Pool) -> None:
    result = await run_import(FEED, database_url)

    assert result.exit_code == 0, result.output
    assert result.stderr == "line 5: has price 'nothing', which must be like '19.99 USD'\n"
    assert result.stdout == (
        "imported 4 of 5 rows: 3 products added, 0 changed; 4 items added, 0 changed, 0 as before; "
        "1 row refused\n"
    )
    assert await catalogue(pool) == [
        ("Cup", "C-1", "Cup", 500, "USD"),
        ("Kettle", "K-1", "Red", 1999, "USD"),
        ("Kettle", "K-2", "Blue", 2100, "USD"),
        ("Pan", "P-1", "Pan", 3000, "EUR"),
    ]
    images = await pool.fetchval("SELECT images::text FROM products WHERE title = 'Kettle'")
    assert images == '["https://img.example/red.jpg", "https://img.example/blue.jpg"]'


async def test_importing_again_changes_nothing(database_url: str, pool: asyncpg.Pool) -> None:
    await run_import(FEED, database_url)
    before = await pool.fetch("SELECT v.*, p.* FROM variants v JOIN products p ON p.id = v.product_id")

    again = await run_import(FEED, database_url)

    assert again.exit_code == 0
    assert "0 products added, 0 changed; 0 items added, 0 changed, 4 as before" in again.stdout
    assert (
        await pool.fetch("SELECT v.*, p.* FROM variants v JOIN products p ON p.id = v.product_id") == before
    )


async def test_importing_a_changed_feed_updates_in_place(database_url: str, pool: asyncpg.Pool) -> None:
    await run_import(FEED, database_url)
    ids = await pool.fetch("SELECT sku, id, product_id FROM variants ORDER BY sku")

    changed = FEED.replace("5.00 USD", "6.00 USD").replace("Kettle,Boils", "Kettle,Boils fast")
    result = await run_import(changed, database_url)

    assert "0 products added, 1 changed; 0 items added, 1 changed, 3 as before" in result.stdout
    assert ("Cup", "C-1", "Cup", 600, "USD") in await catalogue(pool)
    assert await pool.fetch("SELECT sku, id, product_id FROM variants ORDER BY sku") == ids


async def test_an_item_that_joins_a_group_moves_and_leaves_no_empty_product(
    database_url: str, pool: asyncpg.Pool
) -> None:
    await run_import("id,title,price,item_group_id\n1,Pot,1 EUR,\n2,Pot,2 EUR,\n", database_url)
    assert await pool.fetchval("SELECT count(*) FROM products") == 2
    await run_import("id,title,price,item_group_id\n1,Pot,1 EUR,G\n2,Pot,2 EUR,G\n", database_url)
    assert await catalogue(pool) == [("Pot", "1", "Pot", 100, "EUR"), ("Pot", "2", "Pot", 200, "EUR")]
    assert await pool.fetchval("SELECT count(*) FROM products") == 1


async def test_merchants_feeds_do_not_touch_each_other(database_url: str, pool: asyncpg.Pool) -> None:
    await run_import(FEED, database_url)
    result = await run_import(FEED, database_url, merchant="rival")
    assert "3 products added" in result.stdout
    assert await pool.fetchval("SELECT count(DISTINCT merchant_id) FROM products") == 2


async def test_a_group_spread_over_batches_is_one_product_however_often_imported(
    database_url: str, pool: asyncpg.Pool
) -> None:
    filler = "".join(f"F{n},Pan {n},1 EUR,\n" for n in range(600))
    feed = f"id,title,price,item_group_id\nA,First,1 EUR,G\n{filler}B,Last,1 EUR,G\n"
    await run_import(feed, database_url)
    again = await run_import(feed, database_url)
    assert "0 products added, 0 changed; 0 items added, 0 changed, 602 as before" in again.stdout
    titles = await pool.fetch("SELECT p.title FROM products p WHERE p.feed_ref = 'group:G'")
    assert [row["title"] for row in titles] == ["First"]


async def test_a_product_takes_so_many_variants_and_the_rest_is_reported(
    database_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "VARIANTS_MAX", 100)
    rows = "".join(f"{n},Pan {n},1 EUR,G\n" for n in range(103))
    feed = f"id,title,price,item_group_id\n{rows}"
    for _ in range(2):
        result = await run_import(feed, database_url)
        assert result.exit_code == 0
        assert [line.split(":")[0] for line in result.stderr.splitlines()] == [
            "line 102",
            "line 103",
            "line 104",
        ]
    assert await pool.fetchval("SELECT count(*) FROM variants") == 100


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        (b"", "Error: feed.csv: the feed is empty; its first line must name the columns"),
        (
            b"sku,name\n1,2\n",
            "Error: feed.csv: the header has no column id, title, price; it names sku, name",
        ),
        (
            "id,title,price\n1,Théière,1 EUR\n".encode("latin-1"),
            "Error: feed.csv: the encoding is not UTF-8; save the feed as UTF-8 and import it again",
        ),
        (b"id,title,price\n", "Error: feed.csv: nothing could be imported"),
    ],
)
async def test_a_feed_that_cannot_be_used_is_told_in_one_line(
    database_url: str, feed: bytes, message: str
) -> None:
    result = await run_import(feed, database_url)
    assert result.exit_code == 1
    assert result.stderr == f"{message}\n"


async def test_a_feed_of_only_bad_rows_exits_with_1(database_url: str) -> None:
    result = await run_import("id,title,price\n1,Pot,free\n", database_url)
    assert result.exit_code == 1
    assert "imported 0 of 1 row:" in result.stdout
    assert result.stderr.splitlines() == [
        "line 2: has price 'free', which must be like '19.99 USD'",
        "Error: feed.csv: nothing could be imported",
    ]


async def test_a_missing_feed_is_told_in_one_line(database_url: str) -> None:
    result = await run_pintuan("nowhere.csv", database_url)
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: cannot read nowhere.csv: No such file or directory\n",
    )


async def test_a_merchants_name_must_be_printable(database_url: str) -> None:
    result = await run_import(FEED, database_url, merchant=" ")
    assert result.exit_code == 2
    assert "--merchant" in result.stderr


async def test_a_database_without_schema_is_told_in_one_line(database_url: str, pool: asyncpg.Pool) -> None:
    await pool.execute("ALTER TABLE merchants RENAME TO sellers")
    result = await run_import(FEED, database_url)
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: the database has no schema yet; run `pintuan migrate`\n",
    )


async def test_an_unreachable_database_is_told_in_one_line(tmp_path: Path) -> None:
    result = await run_import(FEED, f"postgresql://shop:hunter2@/shop?host={tmp_path}")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the database failed: ")
    assert result.stderr.count("\n") == 1
    assert "hunter2" not in result.output
