"""Brings a feed into the catalogue, batch by batch, each in one transaction, the same however often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import asyncpg
import msgspec
import structlog

from groups.ids import new_id
from groups.looks import outlived
from pintuan.people.activity.changes import made
from pintuan.people.activity.log import note
from pintuan.people.merchants.service import lock_merchant, require_seller
from pintuan.shop.catalog import limits
from pintuan.shop.feeds import store as feed_store
from pintuan.shop.feeds.formats import BadRow, FeedError, FeedItem, FeedRow, Halt, Note
from pintuan.shop.feeds.renaming import NamedVariant, changes_of
from pintuan.shop.feeds.store import FeedProduct, FeedVariant
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sql import Connection

BATCH_ITEMS_MAX = 500
"""A batch ends here, or a little later with the product whose rows it is in."""
VARIANT_BYTES_MIN = 100
"""What the JSON of a variant has beside its texts: its id, its price and the names of its fields."""
# How Postgres refuses values. The reader's rules should let none of them through.
_UNWRITABLE: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)

_TOO_LARGE: Final = f"makes its product, with its variants, larger than {limits.PRODUCT_BYTES_MAX} bytes"

_encoder: Final = msgspec.json.Encoder()
_logger = structlog.get_logger("pintuan.shop.catalog")


class _TooLarge(Exception):
    """Writing the batch would make a product of it larger than a product may be."""


@dataclass(slots=True)
class ImportReport:
    """What an import did so far; items that were there already and did not change are `unchanged`."""

    products_added: int = 0
    products_changed: int = 0
    # Those of the feed that shoppers are not shown.
    products_hidden: int = 0
    items_added: int = 0
    items_changed: int = 0
    items_unchanged: int = 0
    bad_rows: int = 0
    notes: int = 0
    # The currency of prices that the feed gave without one, if there were any.
    currency_assumed: str | None = None

    @property
    def rows(self) -> int:
        """Items and bad rows read so far."""
        return self.items_kept + self.bad_rows

    @property
    def items_kept(self) -> int:
        """Items of the feed that are in the catalogue now."""
        return self.items_added + self.items_changed + self.items_unchanged


@dataclass(slots=True)
class FeedImport:
    """One import of one merchant's feed; `report` counts, and each row not kept and each note is told.

    `halt` is what the reader of the rows looks at. Each batch is committed for good, so an import that is
    interrupted is finished by running it again. One that the merchant asked for (`by_merchant`), and not an
    operator, ends with their right to sell.
    """

    pool: asyncpg.Pool
    merchant_id: str
    on_bad_row: Callable[[BadRow], None]
    on_note: Callable[[Note], None] = lambda _: None
    report: ImportReport = field(default_factory=ImportReport)
    halt: Halt = field(default_factory=Halt)
    by_merchant: bool = False
    # The groups an earlier batch has written. A product is what the first of its rows say, wherever the
    # batches are cut; otherwise a second import would find differences that the feed does not have.
    _groups_written: set[int] = field(default_factory=set)

    async def run(self, rows: Iterable[FeedRow], on_batch: Callable[[], None]) -> None:
        """Writes all rows, calling `on_batch` after each batch; the rows are read in a thread.

        When the caller is cancelled, the thread has ended before this does.

        Raises `FeedError` as the reader of the rows does, after the rows before it were written, `Forbidden`
        or `Unauthenticated` when the merchant may not sell any more, and what asyncpg raises; the batches
        before stay.
        """
        # A database that cannot take anything says so before the first row is read.
        async with self.pool.acquire() as connection, connection.transaction():
            await self._lock(connection)
        batches = _batches(self._items(rows))
        error: FeedError | None = None
        while batch := await self._next(batches):
            kept, too_large = _light_enough(batch.items)
            for item in too_large:
                self._refuse(BadRow(item.line, _TOO_LARGE))
            if kept:
                await self._write(kept)
            on_batch()
            error = batch.error
        await feed_store.delete_emptied_products(self.pool, self.merchant_id)
        if error is not None:
            raise error

    async def _lock(self, connection: Connection) -> None:
        await lock_merchant(connection, self.merchant_id)
        if self.by_merchant:
            await require_seller(connection, self.merchant_id)

    async def _next(self, batches: Iterator[_Batch]) -> _Batch | None:
        reading = asyncio.ensure_future(asyncio.to_thread(next, batches, None))
        try:
            return await outlived(reading)
        except asyncio.CancelledError:
            self.halt.tell()
            await asyncio.wait({reading})
            raise

    def _items(self, rows: Iterable[FeedRow]) -> Iterator[FeedItem]:
        for row in rows:
            if isinstance(row, BadRow):
                self._refuse(row)
            elif isinstance(row, Note):
                self.report.notes += 1
                self.on_note(row)
            else:
                if row.currency_assumed:
                    self.report.currency_assumed = row.currency
                yield row

    def _refuse(self, row: BadRow) -> None:
        self.report.bad_rows += 1
        self.on_bad_row(row)

    async def _write(self, batch: Sequence[FeedItem]) -> None:
        """Writes a batch; where it is refused, by halves, down to the item that is to blame."""
        try:
            await self._write_at_once(batch)
        except (*_UNWRITABLE, _TooLarge) as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._write(batch[:middle])
                await self._write(batch[middle:])
                return
            if isinstance(error, _TooLarge):
                self._refuse(BadRow(batch[0].line, _TOO_LARGE))
                return
            _logger.exception("an item of a feed was not foreseen")
            self._refuse(BadRow(batch[0].line, f"cannot be kept ({type(error).__name__})"))

    async def _write_at_once(self, batch: Sequence[FeedItem]) -> None:
        products = _products_of(batch, except_groups=self._groups_written)
        group_refs = list({item.group_ref for item in batch})
        item_refs = [item.item_ref for item in batch]
        skus = [feed_store.FeedSku(item.group_ref, item.item_ref, item.sku) for item in batch]

        async def transaction() -> tuple[feed_store.Written, feed_store.Written, list[FeedItem], int]:
            async with self.pool.acquire() as connection, connection.transaction():
                await self._lock(connection)
                before = await feed_store.measure_products(connection, self.merchant_id, group_refs)
                offered = await feed_store.select_offered_variants(
                    connection, self.merchant_id, group_refs, item_refs
                )
                written = await feed_store.upsert_products(connection, self.merchant_id, products)
                await feed_store.settle_skus(connection, self.merchant_id, skus)
                stored = await feed_store.count_variants(connection, self.merchant_id, group_refs, item_refs)
                variants, crowded_out = _variants_of(batch, stored)
                variants_written = await feed_store.upsert_variants(connection, self.merchant_id, variants)
                after = await feed_store.measure_products(connection, self.merchant_id, group_refs)
                _check_sizes(before, after)
                await self._note(connection, written, variants_written, offered)
                return written, variants_written, crowded_out, len(variants)

        written, variants_written, crowded_out, kept = await retry_serialization(transaction)
        self._groups_written.update(hash(product.feed_ref) for product in products)
        self.report.products_added += written.added
        self.report.products_changed += written.changed
        self.report.products_hidden += sum(product.visibility == "hidden" for product in products)
        self.report.items_added += variants_written.added
        self.report.items_changed += variants_written.changed
        self.report.items_unchanged += kept - variants_written.added - variants_written.changed
        for item in crowded_out:
            self._refuse(
                BadRow(item.line, f"is beyond the {limits.VARIANTS_MAX} variants a product may have")
            )

    async def _note(
        self,
        connection: Connection,
        products: feed_store.Written,
        variants: feed_store.Written,
        offered: Mapping[str, NamedVariant],
    ) -> None:
        """Tells the log what a batch changed; one that found everything as the feed has it tells nothing.

        `offered` are variants on offer as they were before; of these it tells titles and prices.
        """
        counts = {
            "products_added": products.added,
            "products_changed": products.changed,
            "variants_added": variants.added,
            "variants_changed": variants.changed,
        }
        if any(counts.values()):
            now = await feed_store.select_named_variants(connection, list(offered)) if offered else {}
            renamed, changes = changes_of(offered, now)
            await note(connection, self.merchant_id, renamed, made(**counts) | changes)


class _Batch(NamedTuple):
    """Items to write in one transaction, and what kept the reader from reading on behind them."""

    items: list[FeedItem]
    error: FeedError | None


def _batches(items: Iterator[FeedItem]) -> Iterator[_Batch]:
    """Yields the items in batches that do not cut a product whose rows follow each other."""
    batch: list[FeedItem] = []
    error: FeedError | None = None
    try:
        for item in items:
            is_cut = len(batch) >= BATCH_ITEMS_MAX and item.group_ref != batch[-1].group_ref
            if is_cut or len(batch) >= BATCH_ITEMS_MAX + limits.VARIANTS_MAX:
                yield _Batch(batch, None)
                batch = []
            batch.append(item)
    except FeedError as broken:
        error = broken
    if batch or error is not None:
        yield _Batch(batch, error)


def _light_enough(batch: Sequence[FeedItem]) -> tuple[list[FeedItem], list[FeedItem]]:
    """Returns the items whose products fit with the items before, and those that do not.

    What the database has of these products is not known yet; `_check_sizes` judges by it. Most that is too
    large is found here, so that a feed of it is not written by halves.
    """
    kept: list[FeedItem] = []
    too_large: list[FeedItem] = []
    sizes_bytes: dict[str, int] = {}
    pictures: dict[str, set[str]] = {}
    for item in batch:
        of_product = pictures.setdefault(item.group_ref, set())
        new = set(item.images) - of_product
        own = (item.sku, item.variant_title, item.options, item.variant_images, item.attributes)
        size_bytes = sizes_bytes.get(item.group_ref, 0) + len(_encoder.encode((own, sorted(new))))
        size_bytes += VARIANT_BYTES_MIN
        if item.group_ref not in sizes_bytes:
            size_bytes += len(item.title.encode()) + len(item.description.encode())
        if size_bytes > limits.PRODUCT_BYTES_MAX:
            too_large.append(item)
            continue
        sizes_bytes[item.group_ref] = size_bytes
        of_product |= new
        kept.append(item)
    return kept, too_large


def _check_sizes(before: Mapping[str, int], after: Mapping[str, int]) -> None:
    """Raises `_TooLarge` where a product has become too large; by its reference, before and after the write.

    One that was kept before there was a bound may stay as large as it is.
    """
    for group_ref, size_bytes in after.items():
        if size_bytes > max(limits.PRODUCT_BYTES_MAX, before.get(group_ref, 0)):
            raise _TooLarge(group_ref)


def _products_of(batch: Sequence[FeedItem], *, except_groups: set[int]) -> list[FeedProduct]:
    """Each group's product is what its first item says, with the pictures of all its items in the batch.

    It is hidden if all of them are.
    """
    first: dict[str, FeedItem] = {}
    shown: set[str] = set()
    images: dict[str, dict[str, None]] = {}
    for item in batch:
        if hash(item.group_ref) in except_groups:
            continue
        first.setdefault(item.group_ref, item)
        if not item.is_hidden:
            shown.add(item.group_ref)
        images.setdefault(item.group_ref, {}).update(dict.fromkeys(item.images))
    return [
        FeedProduct(
            id=new_id("prd"),
            feed_ref=group_ref,
            title=item.title,
            description=item.description,
            images=list(images[group_ref])[: limits.IMAGES_MAX],
            visibility="public" if group_ref in shown else "hidden",
        )
        for group_ref, item in first.items()
    ]


def _variants_of(
    batch: Sequence[FeedItem], stored: dict[str, feed_store.StoredProduct]
) -> tuple[list[FeedVariant], list[FeedItem]]:
    """Returns the variants to write, and the items for which their product has no room."""
    room = {ref: limits.VARIANTS_MAX - product.other_variants for ref, product in stored.items()}
    variants: list[FeedVariant] = []
    crowded_out: list[FeedItem] = []
    for ordinal, item in enumerate(batch, start=1):
        if room[item.group_ref] < 1:
            crowded_out.append(item)
            continue
        room[item.group_ref] -= 1
        variants.append(
            FeedVariant(
                id=new_id("var"),
                product_id=stored[item.group_ref].id,
                feed_ref=item.item_ref,
                sku=item.sku,
                title=item.variant_title,
                list_price_minor=item.list_price_minor,
                currency=item.currency,
                options=item.options,
                images=item.variant_images,
                attributes=item.attributes,
                ordinal=ordinal,
            )
        )
    return variants, crowded_out
