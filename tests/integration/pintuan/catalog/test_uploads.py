"""Uploads of one process: so many at a time, and none that failed keeps its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from groups.errors import Overloaded
from pintuan.catalog import uploads as module
from pintuan.catalog.schemas import ImportResult
from pintuan.catalog.uploads import UPLOADS_MAX, Uploads
from pintuan.database import open_pool
from pintuan.errors import InvalidInput
from pintuan.settings import Settings

pytestmark = pytest.mark.anyio

FEED = b"id,title,price\n1,Pot,1 EUR\n"


@pytest.fixture
async def app_pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool as the application opens it."""
    async with open_pool(Settings(database_url=database_url), size_max=4, application_name="tests") as pool:
        yield pool


async def take(uploads: Uploads, pool: asyncpg.Pool, body: AsyncIterator[bytes]) -> ImportResult:
    return await uploads.take(pool, "teahouse", body, content_type="text/csv", currency="USD")


async def at_once() -> AsyncIterator[bytes]:
    yield FEED


async def test_a_process_takes_only_so_many_at_a_time(app_pool: asyncpg.Pool) -> None:
    arrived = [asyncio.Event() for _ in range(UPLOADS_MAX)]
    finish = asyncio.Event()

    async def slow(event: asyncio.Event) -> AsyncIterator[bytes]:
        yield FEED[:10]
        event.set()
        await finish.wait()
        yield FEED[10:]

    uploads = Uploads()
    first = [asyncio.create_task(take(uploads, app_pool, slow(event))) for event in arrived]
    await asyncio.gather(*(event.wait() for event in arrived))
    with pytest.raises(Overloaded):
        await take(uploads, app_pool, at_once())
    finish.set()
    assert [result.rows for result in await asyncio.gather(*first)] == [1] * UPLOADS_MAX
    assert (await take(uploads, app_pool, at_once())).variants_unchanged == 1


async def test_an_upload_that_breaks_off_leaves_its_place_to_the_next(app_pool: asyncpg.Pool) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield FEED
        raise ConnectionResetError

    uploads = Uploads()
    for _ in range(UPLOADS_MAX + 1):
        with pytest.raises(ConnectionResetError):
            await take(uploads, app_pool, broken())
    assert await app_pool.fetchval("SELECT count(*) FROM products") == 0
    assert (await take(uploads, app_pool, at_once())).products_added == 1


async def test_an_upload_that_trickles_is_refused_and_leaves_its_place(
    app_pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UPLOAD_S_MAX", 0.05)

    async def endless() -> AsyncIterator[bytes]:
        yield FEED
        await asyncio.Event().wait()

    uploads = Uploads()
    for _ in range(UPLOADS_MAX + 1):
        with pytest.raises(InvalidInput) as refusal:
            await take(uploads, app_pool, endless())
        assert [error.field for error in refusal.value.errors] == ["body"]
