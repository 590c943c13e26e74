"""Uploads of one process: so many at a time, one of a merchant, and none that ended keeps its place."""

from __future__ import annotations

import asyncio
import errno
import io
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import pytest

from pintuan.base.errors import ClientGone, InvalidInput, Overloaded, RateLimited
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.shop.feeds import uploads as module
from pintuan.shop.feeds.formats import Halt
from pintuan.shop.feeds.schemas import ImportResult
from pintuan.shop.feeds.uploads import IMPORTS_MAX, Uploads

pytestmark = pytest.mark.anyio

FEED = b"id,title,price\n1,Pot,1 EUR\n"


@pytest.fixture
async def app_pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool as the application opens it."""
    async with open_pool(Settings(database_url=database_url), size_max=4, application_name="tests") as pool:
        yield pool


async def never() -> None:
    await asyncio.Event().wait()


async def take(
    uploads: Uploads,
    pool: asyncpg.Pool,
    body: AsyncIterator[bytes],
    *,
    merchant: str = "teahouse",
    until_gone: Callable[[], Awaitable[None]] = never,
) -> ImportResult:
    return await uploads.take(
        pool, merchant, body, content_type="text/csv", currency="USD", until_gone=until_gone
    )


class EndlessReading:
    """Stands in for the reader of a feed that never ends; it is read until it is told to stop."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()

    def __call__(self, _stream: object, *, halt: Halt, **_: object) -> Iterator[Any]:
        self.begun.set()
        try:
            while True:
                halt.check(1)
                time.sleep(0.001)
                yield from ()
        finally:
            self.ended.set()


async def at_once() -> AsyncIterator[bytes]:
    yield FEED


def arriving(event: asyncio.Event, finish: asyncio.Event) -> AsyncIterator[bytes]:
    """A feed of which the rest comes when it is let."""

    async def body() -> AsyncIterator[bytes]:
        yield FEED[:10]
        event.set()
        await finish.wait()
        yield FEED[10:]

    return body()


async def test_feeds_that_arrive_keep_nobody_from_importing(app_pool: asyncpg.Pool) -> None:
    arrived = [asyncio.Event() for _ in range(IMPORTS_MAX + 1)]
    finish = asyncio.Event()
    uploads = Uploads()
    slow = [
        asyncio.create_task(take(uploads, app_pool, arriving(event, finish), merchant=f"shop-{place}"))
        for place, event in enumerate(arrived)
    ]
    await asyncio.gather(*(event.wait() for event in arrived))
    assert (await take(uploads, app_pool, at_once())).products_added == 1
    finish.set()
    assert [result.rows for result in await asyncio.gather(*slow)] == [1] * len(slow)
    assert not uploads.merchants


async def test_a_process_takes_in_only_so_many_at_a_time(
    app_pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UPLOADS_MAX", 2)
    arrived, finish = [asyncio.Event() for _ in range(2)], asyncio.Event()
    uploads = Uploads()
    first = [
        asyncio.create_task(take(uploads, app_pool, arriving(event, finish), merchant=f"shop-{place}"))
        for place, event in enumerate(arrived)
    ]
    await asyncio.gather(*(event.wait() for event in arrived))
    with pytest.raises(Overloaded):
        await take(uploads, app_pool, at_once())
    finish.set()
    assert [result.rows for result in await asyncio.gather(*first)] == [1, 1]
    assert (await take(uploads, app_pool, at_once(), merchant="shop-0")).variants_unchanged == 1


async def test_only_so_many_are_parsed_at_once_and_the_next_waits_its_turn(
    app_pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads, asked = Uploads(), asyncio.Event()
    for _ in range(IMPORTS_MAX):
        assert uploads.places.try_enter()
    enter = uploads.places.enter

    async def enter_and_note(address: str, *, wait_s: float) -> None:
        asked.set()
        await enter(address, wait_s=wait_s)

    monkeypatch.setattr(uploads.places, "enter", enter_and_note)
    waiting = asyncio.create_task(take(uploads, app_pool, at_once()))
    await asked.wait()
    assert uploads.places.waiting == 1
    uploads.places.leave()
    assert (await waiting).products_added == 1

    assert uploads.places.try_enter()
    monkeypatch.setattr(module, "IMPORT_WAIT_S_MAX", 0.05)
    with pytest.raises(Overloaded):
        await take(uploads, app_pool, at_once())
    assert (uploads.merchants, uploads.shared_bytes, uploads.places.waiting) == (set(), 0, 0)


async def test_what_arrives_shares_the_disk_and_everybody_has_some_to_themselves(
    app_pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UPLOAD_BYTES_OWN", len(FEED))
    monkeypatch.setattr(module, "UPLOAD_BYTES_SHARED", 20)
    arrived, finish = asyncio.Event(), asyncio.Event()

    async def long() -> AsyncIterator[bytes]:
        yield FEED + b"\n" * 20
        yield b""
        arrived.set()
        await finish.wait()

    async def longer() -> AsyncIterator[bytes]:
        yield FEED
        yield b"\n"

    uploads = Uploads()
    first = asyncio.create_task(take(uploads, app_pool, long(), merchant="first"))
    await arrived.wait()
    with pytest.raises(Overloaded):
        await take(uploads, app_pool, longer())
    assert (await take(uploads, app_pool, at_once())).products_added == 1
    finish.set()
    assert (await first).rows == 1
    assert uploads.shared_bytes == 0
    assert (await take(uploads, app_pool, longer())).variants_unchanged == 1


async def test_a_disk_that_is_full_is_told_and_nothing_is_imported(
    app_pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk(io.RawIOBase):
        def write(self, _data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: FullDisk())
    uploads = Uploads()
    with pytest.raises(Overloaded, match="no disk is left"):
        await take(uploads, app_pool, at_once())
    assert not uploads.merchants


async def test_a_merchant_has_one_place_and_leaves_the_others(app_pool: asyncpg.Pool) -> None:
    arrived, finish = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield FEED
        arrived.set()
        await finish.wait()

    uploads = Uploads()
    first = asyncio.create_task(take(uploads, app_pool, slow()))
    await arrived.wait()
    with pytest.raises(RateLimited):
        await take(uploads, app_pool, at_once())
    assert (await take(uploads, app_pool, at_once(), merchant="another")).products_added == 1
    finish.set()
    assert (await first).products_added == 1
    assert (await take(uploads, app_pool, at_once())).variants_unchanged == 1


async def test_an_import_ends_with_its_caller_and_its_thread_before_its_place_is_free(
    app_pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = EndlessReading()
    monkeypatch.setattr(module, "read_feed", reading)

    async def until_gone() -> None:
        await asyncio.to_thread(reading.begun.wait)

    uploads = Uploads()
    with pytest.raises(ClientGone):
        await take(uploads, app_pool, at_once(), until_gone=until_gone)
    assert reading.ended.is_set()
    assert not uploads.merchants


async def test_an_import_that_is_cancelled_ends_its_thread_too(
    app_pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = EndlessReading()
    monkeypatch.setattr(module, "read_feed", reading)
    uploads = Uploads()
    importing = asyncio.create_task(take(uploads, app_pool, at_once()))
    await asyncio.to_thread(reading.begun.wait)
    importing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await importing
    assert reading.ended.is_set()
    assert not uploads.merchants


async def test_an_import_ends_at_its_deadline(
    app_pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = EndlessReading()
    monkeypatch.setattr(module, "read_feed", reading)
    monkeypatch.setattr(module, "IMPORT_S_MAX", 0.05)
    uploads = Uploads()
    with pytest.raises(InvalidInput, match="took longer"):
        await take(uploads, app_pool, at_once())
    assert reading.ended.is_set()
    assert not uploads.merchants


async def test_an_upload_that_breaks_off_leaves_its_place_to_the_next(app_pool: asyncpg.Pool) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield FEED
        raise ConnectionResetError

    uploads = Uploads()
    for _ in range(IMPORTS_MAX + 1):
        with pytest.raises(ConnectionResetError):
            await take(uploads, app_pool, broken())
    assert await app_pool.fetchval("SELECT count(*) FROM products") == 0
    assert (await take(uploads, app_pool, at_once())).products_added == 1


async def test_an_upload_that_trickles_is_refused_and_leaves_its_place(
    app_pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UPLOAD_GRACE_S", 0.05)

    async def endless() -> AsyncIterator[bytes]:
        yield FEED
        await asyncio.Event().wait()

    uploads = Uploads()
    for _ in range(IMPORTS_MAX + 1):
        with pytest.raises(InvalidInput, match="kB a second") as refusal:
            await take(uploads, app_pool, endless())
        assert [error.field for error in refusal.value.errors] == ["body"]
