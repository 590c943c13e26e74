"""An event, and a noun's reaction to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import msgspec

from sql import Connection


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the order or group `object_id` of a deal.

    `id` rises along the life of the order or group. `happened_at` is the server's time.
    """

    id: int
    type: str
    object_id: str
    deal_id: str
    happened_at: datetime


React: TypeAlias = Callable[[Connection, Sequence[Event]], Awaitable[None]]
"""Writes what a noun makes of some events, in the order of their ids, all or none of them.

It gets the connection whose transaction takes the events. Rows written on it are written exactly once, and it
may do nothing else. Longer work is left to a job, for which a row is written.
"""


@dataclass(frozen=True, slots=True)
class Reactions:
    """A noun's reaction to each type of event it hears, and the job that goes on from there, if any."""

    by_type: Mapping[str, React]
    then: str | None = None
