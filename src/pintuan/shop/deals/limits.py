"""The bounds of a deal's numbers, each but those of sums held by a constraint of the `deals` table as well.

Money is bounded where it is promised, so that no sum of it can leave what carries it
(docs/decisions/0031-what-cannot-be-summed-and-what-always-fails.md).
"""

from __future__ import annotations

from typing import Final

GROUP_TTL_SECONDS_MAX = 518_400
"""Six days; the payment gateway may hold money for less, and then a deal's groups may not last that long."""

STOCK_UNITS_MAX = 10**9
PER_BUYER_UNITS_MAX = 10**6
LANES_MAX = 16

DEAL_MINOR_MAX: Final = 10**18
"""The most that a deal's whole stock, and so every sum over a group, may come to at its list price: 64 bits
hold it.
"""

OFFERS_MINOR_MAX: Final = 9 * 10**18
"""The most that all deals a merchant ever made in one currency, and so every account of theirs,
may come to.
"""
