"""A feed brought in over HTTP: spooled to disk while it arrives, then imported like a file.

The body is never held in memory, its parsing happens in threads, and a process takes only so many at a time,
one of a merchant. An import ends with its caller or at its deadline, and gives its place back when its thread
has ended. One that is cut off or repeated does no harm: an import is the same however often.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from groups.errors import Overloaded, RateLimited
from pintuan.base.errors import ClientGone, InvalidInput, UnsupportedMediaType
from pintuan.shop.feeds.formats import HEAD_BYTES, BadRow, FeedError, Halt, read_feed
from pintuan.shop.feeds.schemas import ImportResult, RefusedRow
from pintuan.shop.feeds.service import FeedImport
from pricing.currency import UnknownCurrency, exponent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import asyncpg

UPLOAD_BYTES_MAX: Final = 64 * 1024 * 1024
UPLOADS_MAX: Final = 2
# The largest feed at two megabits a second; one that only trickles would keep others' from being imported.
UPLOAD_S_MAX: Final = 300.0
# From its last byte on. A feed of the greatest size takes less than half of it on a slow machine.
IMPORT_S_MAX: Final = 300.0
RETRY_AFTER_S: Final = 10
REFUSED_SHOWN_MAX: Final = 100
MEDIA_TYPES: Final = (
    "text/csv",
    "text/tab-separated-values",
    "application/xml",
    "text/xml",
    "application/rss+xml",
    "application/atom+xml",
)


@dataclass(slots=True)
class Uploads:
    """Whose feeds this process is taking in just now."""

    merchants: set[str] = field(default_factory=set)

    async def take(
        self,
        pool: asyncpg.Pool,
        merchant_id: str,
        body: AsyncIterator[bytes],
        *,
        content_type: str,
        currency: str,
        until_gone: Callable[[], Awaitable[None]],
    ) -> ImportResult:
        """Imports the feed that arrives in `body` and returns what came of it.

        `until_gone` returns when the caller has hung up; it is called once the body is there.

        Raises:
            UnsupportedMediaType: the content is of a type that is no feed's.
            RateLimited: a feed of the merchant is being imported.
            Overloaded: enough feeds are.
            InvalidInput: the currency is none, the body takes too long, or nothing of it can be read.
            ClientGone: the caller hung up.
        """
        if content_type.split(";", 1)[0].strip().lower() not in MEDIA_TYPES:
            raise UnsupportedMediaType(f"The body must be one of {', '.join(MEDIA_TYPES)}.")
        try:
            exponent(currency)
        except UnknownCurrency as error:
            raise InvalidInput.of("currency", str(error)) from error
        if merchant_id in self.merchants:
            raise RateLimited(
                "A feed of yours is being imported; wait for its end.", retry_after_s=RETRY_AFTER_S
            )
        if len(self.merchants) >= UPLOADS_MAX:
            raise Overloaded("enough feeds are being imported", retry_after_s=RETRY_AFTER_S)
        self.merchants.add(merchant_id)
        try:
            with tempfile.TemporaryFile(buffering=0) as spool:
                await _receive(body, spool)
                spool.seek(0)
                stream = io.BufferedReader(spool, HEAD_BYTES)
                importing = _import(pool, merchant_id, stream, currency, Halt(IMPORT_S_MAX))
                return await _unless_gone(asyncio.ensure_future(importing), until_gone)
        finally:
            self.merchants.discard(merchant_id)


async def _unless_gone(
    importing: asyncio.Task[ImportResult], until_gone: Callable[[], Awaitable[None]]
) -> ImportResult:
    """Returns what the import does, or ends it and raises `ClientGone` where its caller went away before."""
    watching = asyncio.ensure_future(until_gone())
    tasks = {importing, watching}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if importing.done():
            return importing.result()
        watching.result()
        raise ClientGone
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _receive(body: AsyncIterator[bytes], spool: BinaryIO) -> None:
    try:
        async with asyncio.timeout(UPLOAD_S_MAX):
            async for chunk in body:
                await asyncio.to_thread(spool.write, chunk)
    except TimeoutError as error:
        raise InvalidInput.of("body", f"did not arrive within {UPLOAD_S_MAX:.0f} seconds") from error


@dataclass(slots=True)
class _Refused:
    """The first rows that were not kept."""

    shown: list[RefusedRow] = field(default_factory=list)

    def add(self, row: BadRow) -> None:
        if len(self.shown) < REFUSED_SHOWN_MAX:
            self.shown.append(RefusedRow(row.line, row.reason))


async def _import(
    pool: asyncpg.Pool, merchant_id: str, stream: io.BufferedReader[Any], currency: str, halt: Halt
) -> ImportResult:
    refused = _Refused()
    feed_import = FeedImport(pool, merchant_id, on_bad_row=refused.add, halt=halt, by_merchant=True)
    report, stopped = feed_import.report, None
    try:
        await feed_import.run(read_feed(stream, currency=currency, halt=halt), on_batch=lambda: None)
    except FeedError as error:
        if report.rows == 0:
            raise InvalidInput.of("body", str(error)) from error
        stopped = str(error)
    return ImportResult(
        rows=report.rows,
        products_added=report.products_added,
        products_changed=report.products_changed,
        products_hidden=report.products_hidden,
        variants_added=report.items_added,
        variants_changed=report.items_changed,
        variants_unchanged=report.items_unchanged,
        refused=refused.shown,
        refused_count=report.bad_rows,
        currency_assumed=report.currency_assumed,
        stopped=stopped,
    )
