"""How many changes of products and variants a merchant makes a minute.

A change of what is offered is kept for each running deal of the product, until it is known that nobody
ordered under it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from pintuan.base import limits
from pintuan.base.limits import Limit

if TYPE_CHECKING:
    from sql import Connection

CHANGES_PER_MINUTE: Final = Limit(
    "product changes of merchant", 120, 60_000, "Too many products were changed in a minute."
)


async def count_change(connection: Connection, merchant_id: str) -> None:
    """Counts a change of a product that the caller's transaction makes.

    Raises:
        RateLimited: the merchant made enough changes within a minute.
    """
    merchant = hashlib.sha256(merchant_id.encode()).digest()
    await limits.count(connection, CHANGES_PER_MINUTE, merchant)
