"""A feed brought in over HTTP: spooled to disk while it arrives, then imported like a file.

The body is never held in memory, and its parsing happens in threads. Feeds that arrive are bounded by their
number, one of a merchant, by their bytes and by their rate. Only one that is there in full takes one of the
few places for parsing, so nobody who sends slowly keeps others from importing. An import ends with its
caller or at its deadline, and gives its place back when its thread has ended. One that is cut off or
repeated does no harm: an import is the same however often.
"""

from __future__ import annotations

import asyncio
import errno
import io
import re
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from pintuan.base.errors import ClientGone, InvalidInput, Overloaded, RateLimited, UnsupportedMediaType
from pintuan.http.fair_share.waiting_room import WaitingRoom
from pintuan.shop.feeds.formats import (
    HEAD_BYTES,
    BadRow,
    FeedError,
    FeedRow,
    Halt,
    Note,
    UnknownEncoding,
    encoding_of,
    read_feed,
)
from pintuan.shop.feeds.schemas import ImportResult, Notice, RefusedRow
from pintuan.shop.feeds.service import FeedImport
from pricing.currency import UnknownCurrency, exponent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    import asyncpg

UPLOAD_BYTES_MAX: Final = 64 * 1024 * 1024
# Of all merchants, in a process. One that arrives costs a file and no memory.
UPLOADS_MAX: Final = 32
# Each may have this much on disk whatever the others have, and what is longer takes of what all share.
UPLOAD_BYTES_OWN: Final = 2 * 1024 * 1024
UPLOAD_BYTES_SHARED: Final = 4 * UPLOAD_BYTES_MAX
# A megabit a second, after some time to begin with; the largest feed has nine minutes.
UPLOAD_BYTES_PER_S_MIN: Final = 128 * 1024
UPLOAD_GRACE_S: Final = 30.0
# What is parsed at once; others wait, the first to be there first.
IMPORTS_MAX: Final = 2
IMPORT_WAIT_S_MAX: Final = 60.0
# From its last byte on. A feed of the greatest size takes less than half of it on a slow machine.
IMPORT_S_MAX: Final = 300.0
DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
RETRY_AFTER_S: Final = 10
REFUSED_SHOWN_MAX: Final = 100
NOTICES_SHOWN_MAX: Final = 100
CHARSET_SHOWN_CHARS_MAX: Final = 40
# RFC 9110, section 8.3.1.
_CHARSET: Final = re.compile(r""";\s*charset\s*=\s*"?([^";\s]+)""", re.IGNORECASE)
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
    """Whose feeds this process is taking in just now, and how much of them is on disk."""

    merchants: set[str] = field(default_factory=set)
    shared_bytes: int = 0
    places: WaitingRoom = field(default_factory=lambda: WaitingRoom(IMPORTS_MAX))

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
            UnsupportedMediaType: the content is of a type that is no feed's, or in an unknown encoding.
            RateLimited: a feed of the merchant is being imported.
            Overloaded: enough feeds arrive, are kept on disk, or are parsed for too long.
            InvalidInput: the currency is none, the body comes too slowly, or nothing of it can be read.
            ClientGone: the caller hung up.
        """
        encoding = _encoding_of(content_type)
        try:
            exponent(currency)
        except UnknownCurrency as error:
            raise InvalidInput.of("currency", str(error)) from error
        if merchant_id in self.merchants:
            raise RateLimited(
                "A feed of yours is being imported; wait for its end.", retry_after_s=RETRY_AFTER_S
            )
        if len(self.merchants) >= UPLOADS_MAX:
            raise Overloaded("enough feeds are arriving", retry_after_s=RETRY_AFTER_S)
        self.merchants.add(merchant_id)
        upload = _Upload(self)
        try:
            with tempfile.TemporaryFile(buffering=0) as spool:
                await _receive(upload, body, spool)
                spool.seek(0)
                stream = io.BufferedReader(spool, HEAD_BYTES)
                importing = self._import(pool, merchant_id, stream, currency, encoding)
                return await _unless_gone(asyncio.ensure_future(importing), until_gone)
        finally:
            upload.forget()
            self.merchants.discard(merchant_id)

    async def _import(
        self,
        pool: asyncpg.Pool,
        merchant_id: str,
        stream: io.BufferedReader[Any],
        currency: str,
        encoding: str | None,
    ) -> ImportResult:
        """Imports what was spooled, when a place is free for it."""
        await self.places.enter(merchant_id, wait_s=IMPORT_WAIT_S_MAX)
        try:
            halt = Halt(IMPORT_S_MAX)
            rows = read_feed(stream, currency=currency, encoding=encoding, halt=halt)
            return await _import(pool, merchant_id, rows, halt)
        finally:
            self.places.leave()


@dataclass(slots=True)
class _Upload:
    """A body that arrives, and what it has of the bytes that all share."""

    of: Uploads
    size_bytes: int = 0
    shared_bytes: int = 0

    def grow(self, count: int) -> None:
        """Takes account of further bytes; raises Overloaded when others have taken what is shared."""
        self.size_bytes += count
        more_bytes = max(0, self.size_bytes - UPLOAD_BYTES_OWN) - self.shared_bytes
        if self.of.shared_bytes + more_bytes > UPLOAD_BYTES_SHARED:
            raise Overloaded("enough feeds are arriving", retry_after_s=RETRY_AFTER_S)
        self.shared_bytes += more_bytes
        self.of.shared_bytes += more_bytes

    def forget(self) -> None:
        """Gives back what it had."""
        self.of.shared_bytes -= self.shared_bytes
        self.shared_bytes = 0


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


async def _receive(upload: _Upload, body: AsyncIterator[bytes], spool: BinaryIO) -> None:
    begin_s = asyncio.get_running_loop().time() + UPLOAD_GRACE_S
    try:
        async with asyncio.timeout_at(begin_s) as deadline:
            async for chunk in body:
                upload.grow(len(chunk))
                deadline.reschedule(begin_s + upload.size_bytes / UPLOAD_BYTES_PER_S_MIN)
                await asyncio.to_thread(_write, spool, chunk)
    except TimeoutError as error:
        slowest = f"{UPLOAD_BYTES_PER_S_MIN // 1024} kB a second"
        raise InvalidInput.of("body", f"did not arrive at {slowest} or faster") from error


def _write(spool: BinaryIO, chunk: bytes) -> None:
    """Writes all of the chunk; raises Overloaded where the disk has no room for it."""
    try:
        written = spool.write(chunk)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        written = 0
    if written < len(chunk):
        raise Overloaded("no disk is left for feeds that arrive", retry_after_s=RETRY_AFTER_S)


@dataclass(slots=True)
class _Told:
    """The first rows that were not kept, and the first notes on those that were."""

    refused: list[RefusedRow] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def refuse(self, row: BadRow) -> None:
        if len(self.refused) < REFUSED_SHOWN_MAX:
            self.refused.append(RefusedRow(row.line, row.reason))

    def note(self, note: Note) -> None:
        if len(self.notices) < NOTICES_SHOWN_MAX:
            self.notices.append(Notice(note.line, note.text))


def _encoding_of(content_type: str) -> str | None:
    """Returns the encoding a feed is said to be in, or None; raises `UnsupportedMediaType`."""
    if content_type.split(";", 1)[0].strip().lower() not in MEDIA_TYPES:
        raise UnsupportedMediaType(f"The body must be one of {', '.join(MEDIA_TYPES)}.")
    charset = _CHARSET.search(content_type)
    if charset is None:
        return None
    try:
        return encoding_of(charset[1])
    except UnknownEncoding as error:
        raise UnsupportedMediaType(
            f"A feed in the charset {charset[1][:CHARSET_SHOWN_CHARS_MAX]!r} is not read; send it as UTF-8."
        ) from error


async def _import(pool: asyncpg.Pool, merchant_id: str, rows: Iterator[FeedRow], halt: Halt) -> ImportResult:
    told = _Told()
    feed_import = FeedImport(
        pool, merchant_id, on_bad_row=told.refuse, on_note=told.note, halt=halt, by_merchant=True
    )
    report, stopped = feed_import.report, None
    try:
        await feed_import.run(rows, on_batch=lambda: None)
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
        refused=told.refused,
        refused_count=report.bad_rows,
        notices=told.notices,
        notices_count=report.notes,
        currency_assumed=report.currency_assumed,
        stopped=stopped,
    )
