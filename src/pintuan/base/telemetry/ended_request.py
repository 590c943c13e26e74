"""A request that was answered, as its log line and its metrics tell of it."""

from __future__ import annotations

import msgspec


class EndedRequest(msgspec.Struct, frozen=True):
    """`route` is the template of its path, so that no id or share code of a shopper gets into a log."""

    request_id: str
    method: str
    route: str
    status: int
    duration_s: float
