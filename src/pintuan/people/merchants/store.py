"""Merchants in Postgres, one typed function per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from sql import Connection

MERCHANTS: Final = load_queries(__package__)


class Standing(msgspec.Struct, frozen=True):
    """The present rights of a subject."""

    may_sell: bool
    is_erased: bool


async def insert_merchant(connection: Connection, merchant_id: str) -> None:
    """Adds the merchant unless it is known."""
    await connection.execute(MERCHANTS["insert_merchant"], merchant_id)


async def is_known(pool: asyncpg.Pool, merchant_id: str) -> bool:
    """Says whether the merchant ever sold, or has an account."""
    known: bool = await pool.fetchval(MERCHANTS["is_known"], merchant_id)
    return known


async def lock_merchant(connection: Connection, merchant_id: str) -> None:
    """Locks the merchant's row until the transaction ends."""
    await connection.execute(MERCHANTS["lock_merchant"], merchant_id)


async def hold_standing(connection: Connection, subject: str, *, erased_ms: int) -> Standing:
    """Returns what a subject may do, which an account keeps until the transaction ends.

    `is_erased` says that it asked to be forgotten within `erased_ms`.
    """
    await connection.execute(MERCHANTS["hold_role"], subject)
    (row,) = await connection.fetch(MERCHANTS["may_sell"], subject, erased_ms)
    return Standing(**row)
