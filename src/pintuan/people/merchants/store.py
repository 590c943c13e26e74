"""Merchants in Postgres, one typed function per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sql import load_queries

if TYPE_CHECKING:
    from sql import Connection

MERCHANTS: Final = load_queries(__package__)


async def insert_merchant(connection: Connection, merchant_id: str) -> None:
    """Adds the merchant unless it is known."""
    await connection.execute(MERCHANTS["insert_merchant"], merchant_id)


async def lock_merchant(connection: Connection, merchant_id: str) -> None:
    """Locks the merchant's row until the transaction ends."""
    await connection.execute(MERCHANTS["lock_merchant"], merchant_id)
