"""The lanes a merchant may have in deals that are not over, and the deals they may make a minute.

Every lane that is not over is looked at by workers every few seconds, whether anybody joins or not. Lanes are
therefore bounded for each merchant, and nobody's deals slow down everybody else's payments.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pintuan.base import limits
from pintuan.base.errors import LimitReached
from pintuan.base.limits import Limit
from pintuan.base.settings.settings import LANES_PER_MERCHANT
from pintuan.shop.deals import store

if TYPE_CHECKING:
    from pintuan.base.settings.settings import Settings
    from sql import Connection

DEALS_PER_MINUTE: Final = Limit("deals of merchant", 120, 60_000, "Too many deals were made in a minute.")


@dataclass(frozen=True, slots=True)
class Room:
    """One merchant's room; the pace counts only where `is_paced`."""

    lanes_max: int = LANES_PER_MERCHANT
    is_paced: bool = True

    async def take(self, connection: Connection, merchant_id: str, lanes: int) -> None:
        """Takes room for a deal of so many lanes, which the caller's transaction makes.

        Raises:
            LimitReached: with it the merchant's lanes that are not over would be more than `lanes_max`.
            RateLimited: the merchant made enough deals within a minute.
        """
        taken = await store.lock_lanes_not_over(connection, merchant_id)
        if taken + lanes > self.lanes_max:
            raise LimitReached(
                f"The deals of a merchant that are not over may have {self.lanes_max} lanes in all, and have"
                f" {taken}; this one would have {lanes}. End deals first, or give this one fewer lanes."
            )
        if self.is_paced:
            merchant = hashlib.sha256(merchant_id.encode()).digest()
            await limits.count(connection, DEALS_PER_MINUTE, merchant)


USUAL_ROOM: Final = Room()
"""The defaults where the operator sets nothing."""


def room_of(settings: Settings) -> Room:
    """Returns what the operator gives each merchant."""
    return Room(settings.lanes_per_merchant, is_paced=settings.rate_limits)
