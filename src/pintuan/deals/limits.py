"""The bounds of a deal's numbers, each held by a constraint of the `deals` table as well."""

from __future__ import annotations

GROUP_TTL_SECONDS_MAX = 518_400
"""Six days; the payment gateway may hold money for less, and then a deal's groups may not last that long."""

STOCK_UNITS_MAX = 10**9
PER_BUYER_UNITS_MAX = 10**6
LANES_MAX = 16
