"""The bounds of a deal's numbers, each held by a constraint of the `deals` table as well."""

from __future__ import annotations

GROUP_TTL_SECONDS_MAX = 518_400
"""Six days: an authorisation is good for seven, and a group's settlement must come before it ends."""

STOCK_UNITS_MAX = 10**9
PER_BUYER_UNITS_MAX = 10**6
LANES_MAX = 16
