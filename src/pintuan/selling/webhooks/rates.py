"""How often a merchant may make us call a host. They name any host, so every call that does it is counted."""

from __future__ import annotations

import hashlib
from typing import Final

from pintuan.base.limits import Limit

_MINUTE_MS: Final = 60_000
# Checking a URL asks a name server, and a changed endpoint is tried anew as one that never failed.
CHANGES_PER_MERCHANT: Final = Limit(
    "webhook changes", 30, _MINUTE_MS, "At most 30 endpoints are made or changed a minute."
)
PINGS_PER_MERCHANT: Final = Limit("webhook tests", 100, _MINUTE_MS, "At most 100 tests a minute.")
REPLAYS_PER_MERCHANT: Final = Limit(
    "webhook replays", 10, _MINUTE_MS, "At most 10 times are replayed a minute, to all endpoints together."
)
REPLAYS_PER_ENDPOINT: Final = Limit(
    "webhook replays of endpoint", 5, _MINUTE_MS, "At most 5 times are replayed a minute to one endpoint."
)
SINGLE_REPLAYS_PER_MERCHANT: Final = Limit(
    "webhook single replays", 60, _MINUTE_MS, "At most 60 single events are sent again a minute."
)


def limit_key_of(name: str) -> bytes:
    """Returns what a limit counts a merchant or an endpoint under."""
    return hashlib.sha256(name.encode()).digest()
