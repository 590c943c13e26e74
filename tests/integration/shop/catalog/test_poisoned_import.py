"""An item that Postgres refuses costs itself, and neither its batch nor the import."""

from __future__ import annotations

import asyncpg
import pytest

from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.shop.feeds.formats import BadRow, FeedItem
from pintuan.shop.feeds.service import FeedImport

pytestmark = pytest.mark.anyio

ITEMS = 100
POISONED_LINES = (7, 51)


def item(line: int) -> FeedItem:
    # No reader lets this character through; it stands for what nobody has thought of.
    text = "\0" if line in POISONED_LINES else ""
    return FeedItem(
        line=line,
        item_ref=f"K-{line}",
        group_ref=f"item:K-{line}",
        sku=f"K-{line}",
        title="Kettle",
        variant_title="Kettle",
        description="",
        images=(),
        variant_images=(),
        options=(),
        list_price_minor=500,
        currency="USD",
        currency_assumed=False,
        attributes={"brand": text},
    )


async def test_an_item_that_cannot_be_written_is_a_bad_row(database_url: str, pool: asyncpg.Pool) -> None:
    refused: list[BadRow] = []
    settings = Settings(database_url=database_url)
    async with open_pool(settings, size_max=1, application_name="tests") as app_pool:
        feed_import = FeedImport(app_pool, "teahouse", on_bad_row=refused.append)
        await feed_import.run([item(line) for line in range(1, ITEMS + 1)], on_batch=lambda: None)
    assert refused == [
        BadRow(line, "cannot be kept (UntranslatableCharacterError)") for line in POISONED_LINES
    ]
    assert feed_import.report.items_added == ITEMS - len(POISONED_LINES)
    assert await pool.fetchval("SELECT count(*) FROM products") == ITEMS - len(POISONED_LINES)
