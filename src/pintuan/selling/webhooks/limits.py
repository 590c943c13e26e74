"""Bounds on webhooks."""

from typing import Final

ENDPOINTS_PER_MERCHANT_MAX: Final = 10
DESCRIPTION_CHARS_MAX: Final = 200
# The time a replaced secret goes on signing beside its successor.
FORMER_SECRET_MS: Final = 24 * 3_600_000
# Rotated more often than this within a day, headers would grow without end.
LIVE_SECRETS_MAX: Final = 5
# The bound of one call; the answer says where the next one goes on.
REPLAYED_PER_CALL_MAX: Final = 1_000
# The time for which an event sent again with others of its time is not sent once more.
REPLAYS_APART_MS: Final = 60_000
# The time for which events and their deliveries are kept.
KEPT_MS: Final = 30 * 24 * 3_600_000
