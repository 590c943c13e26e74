"""Exceptions of the group engine.

    GroupsError
    ├── Refused                      a decision that stands until the world changes
    │   ├── DealNotFound, GroupNotFound, OrderNotFound
    │   ├── DealNotActive
    │   ├── GroupClosed, GroupFull
    │   ├── AlreadyJoined(order_id)
    │   ├── LimitReached, SoldOut
    │   ├── IdempotencyKeyReused
    │   └── CancelLocked, NotCancellable
    └── TryAgain(retry_after_s)      nothing was decided; the same call with the same key is safe
        ├── IdempotencyInFlight
        ├── RateLimited
        └── Overloaded

No class here knows a status code: `pintuan.http.problems` maps them in one table.
"""

from __future__ import annotations


class GroupsError(Exception):
    """Base of everything the engine raises on purpose."""


class Refused(GroupsError):
    """The request was understood and refused; repeating it now gives the same answer."""


class DealNotFound(Refused):
    """No deal has this id."""


class GroupNotFound(Refused):
    """No group has this id."""


class OrderNotFound(Refused):
    """The buyer has no order with this id."""


class DealNotActive(Refused):
    """The deal is paused, ended, not yet started or over."""


class GroupClosed(Refused):
    """The group is past its deadline or already settling."""


class GroupFull(Refused):
    """Every seat of the group is held or taken."""


class AlreadyJoined(Refused):
    """The buyer already has a live seat; `order_id` names its order."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"already joined with order {order_id}")
        self.order_id = order_id


class LimitReached(Refused):
    """The order would put the buyer above the deal's per-buyer units."""


class SoldOut(Refused):
    """The deal has fewer units left than the order asks for."""


class IdempotencyKeyReused(Refused):
    """The key was recorded with a different body."""


class CancelLocked(Refused):
    """Leaving would raise the price above what another live member was promised."""


class NotCancellable(Refused):
    """The order or its group is past the point where cancelling is possible."""


class TryAgain(GroupsError):
    """Nothing was decided; after `retry_after_s` seconds the same call is worth repeating."""

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class IdempotencyInFlight(TryAgain):
    """Another request with the same key is still being decided."""


class RateLimited(TryAgain):
    """The buyer or the deal is over its rate."""


class Overloaded(TryAgain):
    """A queue is full, a lane is being rebuilt, or a store did not answer in time."""
