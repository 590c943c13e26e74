"""The lanes a merchant may have under watch, and the deals they may make and change a minute.

Workers look every few seconds at each lane that is not over, and at lanes of ended deals with an open group.
Lanes are therefore bounded for each merchant, and nobody's deals slow down everybody else's payments.
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
# A window of its own: a change of a product locks its deals when it has been counted.
CHANGES_PER_MINUTE: Final = Limit(
    "deal changes of merchant", 120, 60_000, "Too many deals were changed in a minute."
)


@dataclass(frozen=True, slots=True)
class Room:
    """One merchant's room; the pace counts only where `is_paced`."""

    lanes_max: int = LANES_PER_MERCHANT
    is_paced: bool = True

    async def take(self, connection: Connection, merchant_id: str, lanes: int) -> None:
        """Takes room for a deal of so many lanes, which the caller's transaction makes.

        Raises:
            LimitReached: the merchant's lanes that workers look at would be more than `lanes_max`.
            RateLimited: the merchant made enough deals within a minute.
        """
        taken = await store.lock_watched_lanes(connection, merchant_id)
        if taken + lanes > self.lanes_max:
            raise LimitReached(
                "The deals of a merchant that are not over, or have open groups, may have"
                f" {self.lanes_max} lanes in all, and have {taken}; this one would have {lanes}."
                " End deals first and wait for their groups, or give this one fewer lanes."
            )
        if self.is_paced:
            await limits.count(connection, DEALS_PER_MINUTE, _key_of(merchant_id))


USUAL_ROOM: Final = Room()
"""The defaults where the operator sets nothing."""


async def count_change(connection: Connection, merchant_id: str) -> None:
    """Counts a change of a deal that the caller's transaction makes; pausing, resuming and ending are none.

    Raises:
        RateLimited: the merchant made enough changes within a minute.
    """
    await limits.count(connection, CHANGES_PER_MINUTE, _key_of(merchant_id))


def _key_of(merchant_id: str) -> bytes:
    return hashlib.sha256(merchant_id.encode()).digest()


def room_of(settings: Settings) -> Room:
    """Returns what the operator gives each merchant."""
    return Room(settings.lanes_per_merchant, is_paced=settings.rate_limits)
