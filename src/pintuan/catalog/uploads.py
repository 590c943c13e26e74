"""A feed brought in over HTTP: spooled to disk while it arrives, then imported like a file.

The body is never held in memory, its parsing happens in threads, and a process takes only so many at a time.
An upload that is cut off or repeated does no harm: an import is the same however often.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final

from groups.errors import Overloaded
from pintuan.catalog.feed_import import FeedImport
from pintuan.catalog.feeds import HEAD_BYTES, BadRow, FeedError, read_feed
from pintuan.catalog.schemas import ImportResult, RefusedRow
from pintuan.errors import InvalidInput, UnsupportedMediaType
from pricing.currency import UnknownCurrency, exponent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

UPLOAD_BYTES_MAX: Final = 64 * 1024 * 1024
UPLOADS_MAX: Final = 2
# The largest feed at two megabits a second; one that only trickles would keep others' from being imported.
UPLOAD_S_MAX: Final = 300.0
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
    """How many feeds this process is taking in just now."""

    under_way: int = 0

    async def take(
        self,
        pool: asyncpg.Pool,
        merchant_id: str,
        body: AsyncIterator[bytes],
        *,
        content_type: str,
        currency: str,
    ) -> ImportResult:
        """Imports the feed that arrives in `body` and returns what came of it.

        Raises `UnsupportedMediaType`, `Overloaded` when enough are under way, `InvalidInput` when the
        currency is none, the body takes too long or nothing of it can be read, and what reading it raises.
        """
        if content_type.split(";", 1)[0].strip().lower() not in MEDIA_TYPES:
            raise UnsupportedMediaType(f"The body must be one of {', '.join(MEDIA_TYPES)}.")
        try:
            exponent(currency)
        except UnknownCurrency as error:
            raise InvalidInput.of("currency", str(error)) from error
        if self.under_way >= UPLOADS_MAX:
            raise Overloaded("enough feeds are being imported", retry_after_s=RETRY_AFTER_S)
        self.under_way += 1
        try:
            with tempfile.TemporaryFile(buffering=0) as spool:
                await _receive(body, spool)
                spool.seek(0)
                return await _import(pool, merchant_id, io.BufferedReader(spool, HEAD_BYTES), currency)
        finally:
            self.under_way -= 1


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
    pool: asyncpg.Pool, merchant_id: str, stream: io.BufferedReader, currency: str
) -> ImportResult:
    refused = _Refused()
    feed_import = FeedImport(pool, merchant_id, on_bad_row=refused.add)
    report, stopped = feed_import.report, None
    try:
        await feed_import.run(read_feed(stream, currency=currency), on_batch=lambda: None)
    except FeedError as error:
        if report.rows == 0:
            raise InvalidInput.of("body", str(error)) from error
        stopped = str(error)
    return ImportResult(
        rows=report.rows,
        products_added=report.products_added,
        products_changed=report.products_changed,
        variants_added=report.items_added,
        variants_changed=report.items_changed,
        variants_unchanged=report.items_unchanged,
        refused=refused.shown,
        refused_count=report.bad_rows,
        currency_assumed=report.currency_assumed,
        stopped=stopped,
    )
