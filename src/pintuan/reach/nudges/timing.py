"""Decides whether a nudge is told now, looked at later, or not told at all: from the group alone, no I/O.

News before a group's end is out of date soon, so it is told in its moment or never.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from pricing.ladder import Ladder

if TYPE_CHECKING:
    from pintuan.reach.nudges.store import DueNudge

NEAR_MISSING_MAX: Final = 2
"""With so few people missing until a price holds for all, the members hear of it."""
LATE_MAX: Final = timedelta(minutes=10)
"""For how long "one hour left" is true enough."""
LOOK_MIN: Final = timedelta(minutes=5)
# The part of the time left: some twenty looks at a group in all, more often towards its end.
LOOKS_PER_TIME_LEFT: Final = 8
# With less time than this nobody brings anybody any more.
NEAR_LEFT_MIN: Final = timedelta(minutes=15)
# Around the message that tells of the last hour, and of a near price with it, no other is sent.
HOUR_LEFT_FROM: Final = timedelta(minutes=75)
HOUR_LEFT_TO: Final = timedelta(minutes=45)
OUTCOME_LATE_MAX: Final = timedelta(days=3)

Verdict: TypeAlias = Literal["tell", "drop"] | timedelta


class Near(msgspec.Struct, frozen=True):
    """A price that so few more people bring to everybody."""

    missing: int
    price_minor: int


def verdict_of(nudge: DueNudge) -> Verdict:
    """Returns what to do about a nudge that is due; a time is how long to wait before looking again."""
    late = timedelta(milliseconds=nudge.late_ms)
    if not nudge.wanted:
        return "drop"
    if nudge.kind in ("succeeded", "failed"):
        return "tell" if late <= OUTCOME_LATE_MAX else "drop"
    left = nudge.deadline - nudge.now
    if nudge.status != "open" or left <= timedelta():
        return "drop"
    if nudge.kind == "hour_left":
        return "tell" if late <= LATE_MAX else "drop"
    return _verdict_of_near(nudge, left)


def near_of(nudge: DueNudge) -> Near | None:
    """Returns the next price where hardly anybody is missing; the first is that of a group that succeeds."""
    if not nudge.sells:
        return None
    ladder = Ladder.of(zip(nudge.tier_headcounts, nudge.tier_prices_minor, strict=True))
    if nudge.headcount < nudge.min_headcount:
        near = Near(nudge.min_headcount - nudge.headcount, ladder.unit_price_at(0, nudge.min_headcount))
    else:
        tier = ladder.next_tier(nudge.headcount, nudge.min_headcount)
        if tier is None:
            return None
        near = Near(tier.missing, tier.unit_price_minor)
    return near if near.missing <= NEAR_MISSING_MAX else None


def _verdict_of_near(nudge: DueNudge, left: timedelta) -> Verdict:
    if left < NEAR_LEFT_MIN:
        return "drop"
    if HOUR_LEFT_TO < left <= HOUR_LEFT_FROM:
        return left - HOUR_LEFT_TO
    if near_of(nudge) is not None:
        return "tell"
    # Some have been told; that it is not true any more is no news for the others.
    return "drop" if nudge.after_buyer_id else max(LOOK_MIN, left / LOOKS_PER_TIME_LEFT)
