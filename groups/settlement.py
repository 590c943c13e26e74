"""The settlement decision: pure, so that it can be checked without a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pricing.charge import settle
from pricing.ladder import Ladder


@dataclass(frozen=True, slots=True)
class Decision:
    """Terms that a group's close fixes for good. When it failed, the price is only what was last shown."""

    succeeded: bool
    headcount: int
    unit_price_minor: int


def decide(
    tier_headcounts: Sequence[int], tier_prices_minor: Sequence[int], *, min_headcount: int, headcount: int
) -> Decision:
    """Decides a group that closed with `headcount` authorised members."""
    ladder = Ladder.of(zip(tier_headcounts, tier_prices_minor, strict=True))
    settled = settle(ladder, min_headcount, headcount)
    return Decision(
        succeeded=settled is not None,
        headcount=headcount,
        unit_price_minor=ladder.unit_price_at(headcount, min_headcount),
    )
