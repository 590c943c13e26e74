"""Bounds on API keys."""

from typing import Final

KEYS_PER_MERCHANT_MAX: Final = 20
NAME_CHARS_MAX: Final = 100
# The precision of `last_used_at`; otherwise every use would be a write.
LAST_USED_INTERVAL_MS: Final = 60_000
# Looking keys up has this many connections of its own (`pintuan.http.fair_share.limits`), however many are
# tried.
LOOKUPS_AT_ONCE_MAX: Final = 1
LOOKUP_WAIT_S: Final = 1.0
# A key that does not exist will not come into being: nobody guesses 256 random bits. A key that has ended
# stays ended.
REFUSED_REMEMBERED_S: Final = 60.0
REFUSED_COUNT_MAX: Final = 10_000
