"""The part of an export about orders, and how people are taken out of orders that are over."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from groups.forgetting import note_forgotten
from pintuan.base.personal import Chapter, Paged, Person, Personal, Scrubbed, Staying
from pintuan.buying.archive.service import bring_back_of_buyer
from pintuan.buying.groups.shown import order_of
from pintuan.buying.orders.schemas import ExportedOrder
from pintuan.buying.orders.ship_to import ADDRESS_BYTES_PER_PAGE
from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    import asyncpg

    from pintuan.base.personal import Erased
    from sql import Connection

# A page is read, decoded and written at one go, and nothing else is done meanwhile.
ORDERS_PER_PAGE: Final = 100
# More pages than anybody's orders fill; the export ends even if pages never do.
PAGES_MAX: Final = 10_000

ORDERS: Final = load_queries(__package__)


async def exported_orders(pool: asyncpg.Pool, buyer_id: str) -> AsyncIterator[list[ExportedOrder]]:
    """Yields pages that have at least one order, the newest first."""
    after: tuple[datetime, str] | tuple[None, None] = (None, None)
    for _ in range(PAGES_MAX):
        rows = await pool.fetch(
            ORDERS["export_orders"], buyer_id, *after, ORDERS_PER_PAGE, ADDRESS_BYTES_PER_PAGE
        )
        # A page that is not full may have been cut where its addresses are long, so another one is asked for.
        if not rows:
            return
        yield [_exported(row) for row in rows]
        after = (rows[-1]["created_at"], rows[-1]["id"])


def _exported(row: asyncpg.Record) -> ExportedOrder:
    order = order_of(row)
    return ExportedOrder(
        **{field: getattr(order, field) for field in order.__struct_fields__},
        ship_to=row["ship_to"],
        invite_code=row["invite_code"],
        payment_method=row["payment_method"],
    )


def _pages(pool: asyncpg.Pool, person: Person) -> AsyncIterator[list[ExportedOrder]]:
    return exported_orders(pool, person.subject)


async def _scrub(connection: Connection, erased: Erased, limit: int) -> Scrubbed:
    """Takes the person out of orders that are over, those in the archive too."""
    await bring_back_of_buyer(connection, erased.subject, until=erased.until, limit=limit)
    ended = await connection.fetch(ORDERS["lock_ended_orders"], erased.subject, erased.until, limit)
    order_ids = [row["id"] for row in ended]
    rows = await _scrub_locked(connection, erased, order_ids) if order_ids else 0
    return Scrubbed(rows=rows, order_ids=order_ids)


async def _any_left(connection: Connection, erased: Erased) -> bool:
    is_left: bool = await connection.fetchval(ORDERS["any_order_of"], erased.subject, erased.until)
    return is_left


async def _scrub_locked(connection: Connection, erased: Erased, order_ids: Sequence[str]) -> int:
    """Moves locked orders to the alias, with the units that limits count; returns how many it moved.

    The lanes that know the subject are noted; they are to be told after the commit. Deals that still have
    limits go on counting the units for the orders' cards and for the holders.
    """
    subject, alias = erased.subject, erased.alias
    rows = await connection.fetch(ORDERS["scrub_orders"], order_ids, alias)
    await connection.execute(ORDERS["forget_reasons"], order_ids, alias)
    units: Counter[str] = Counter()
    for row in rows:
        units[row["deal_id"]] += row["units"]
    deal_ids = sorted(units)
    await _keep_counting(connection, deal_ids, rows, erased.holders)
    moved = [units[deal_id] for deal_id in deal_ids]
    await connection.fetch(ORDERS["lock_buyers"], deal_ids, subject, alias)
    await connection.execute(ORDERS["add_units"], alias, deal_ids, moved)
    await connection.execute(ORDERS["take_units"], subject, deal_ids, moved)
    await connection.execute(ORDERS["drop_buyers"], subject, deal_ids)
    await note_forgotten(connection, subject, alias, order_ids)
    return len(rows)


async def _keep_counting(
    connection: Connection, deal_ids: Sequence[str], rows: Sequence[asyncpg.Record], holders: Sequence[bytes]
) -> None:
    limited = {row["id"] for row in await connection.fetch(ORDERS["hold_limited_deals"], deal_ids)}
    units: Counter[tuple[str, bytes]] = Counter()
    for row in rows:
        if row["deal_id"] in limited and row["units"]:
            cards = [] if row["card_digest"] is None else [row["card_digest"]]
            for holder in [*cards, *holders]:
                units[row["deal_id"], holder] += row["units"]
    if units:
        await connection.execute(
            ORDERS["keep_units"],
            [deal_id for deal_id, _ in units],
            [holder for _, holder in units],
            list(units.values()),
        )


PERSONAL: Final = Personal(
    tables=("orders", "archived_orders", "deal_buyers"),
    export=(
        Paged(
            name="orders",
            shape=list[ExportedOrder],
            description="All of them, the newest first.",
            chapter=Chapter.PURCHASES,
            pages=_pages,
        ),
    ),
    staying=Staying(scrub=_scrub, any_left=_any_left),
)
