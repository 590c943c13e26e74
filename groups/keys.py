"""Every Redis key of the engine is named here; scripts get them as KEYS and build none themselves.

All keys of a lane share the hash tag `{deal:lane}`, so that they live in one slot of a Redis Cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "pt"
ALL_KEYS = f"{PREFIX}:*"
"""A pattern that takes in every key of the engine."""
EVERY_META = f"{PREFIX}:*}}:meta"
"""A pattern that takes in what every lane has: the hash with its token."""
HISTORY = "history"
"""The last part of a key that says how far Postgres had come: a hash of its history's name and a position."""


def history_key(tag: str) -> str:
    """The key of one server's history. `tag` falls into a slot of it; a single Redis needs none."""
    return f"{PREFIX}:{{{tag}}}:{HISTORY}" if tag else f"{PREFIX}:{HISTORY}"


@dataclass(frozen=True, slots=True, order=True)
class Lane:
    """A shard of a deal: its own stock share, its own groups, one hash slot."""

    deal_id: str
    lane_no: int


@dataclass(frozen=True, slots=True)
class LaneKeys:
    """The keys of one lane's Redis state; the Lua headers say what each holds."""

    meta: str
    groups: str
    open: str
    seats: str
    freed: str
    buyers: str
    pending: str
    rates: str
    earlier: str
    _base: str

    @classmethod
    def of(cls, lane: Lane) -> LaneKeys:
        base = f"{PREFIX}:{{{lane.deal_id}:{lane.lane_no}}}"
        return cls(
            meta=f"{base}:meta",
            groups=f"{base}:groups",
            open=f"{base}:open",
            seats=f"{base}:seats",
            freed=f"{base}:freed",
            buyers=f"{base}:buyers",
            pending=f"{base}:pending",
            rates=f"{base}:rates",
            earlier=f"{base}:earlier",
            _base=base,
        )

    @property
    def state(self) -> list[str]:
        """The seven keys of the lane's state, in the order every script that changes it takes them."""
        return [self.meta, self.groups, self.open, self.seats, self.freed, self.buyers, self.pending]

    def request(self, request_id: str) -> str:
        """The memory of one idempotent request; a string with a time to live."""
        return f"{self._base}:request:{request_id}"

    def began(self, epoch: int) -> str:
        """Names the Redis, by its run id, in which a rebuild at `epoch` began to write."""
        return f"{self._base}:staged:{epoch}:began"

    def staged(self, epoch: int) -> tuple[str, str, str, str, str]:
        """Where a rebuild at `epoch` gathers groups, open, seats, freed and buyers before it is installed."""
        base = f"{self._base}:staged:{epoch}"
        return (f"{base}:groups", f"{base}:open", f"{base}:seats", f"{base}:freed", f"{base}:buyers")
