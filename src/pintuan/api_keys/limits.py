"""Bounds on API keys."""

from typing import Final

KEYS_PER_MERCHANT_MAX: Final = 20
NAME_CHARS_MAX: Final = 100
# How exact `last_used_at` is; every use would be a write otherwise.
LAST_USED_INTERVAL_MS: Final = 60_000
# Looking keys up may take this much of the pool and no more, however many keys are tried.
LOOKUPS_AT_ONCE_MAX: Final = 4
LOOKUP_WAIT_S: Final = 1.0
