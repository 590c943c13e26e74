"""Strategies for ladders that keep the rules."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

from pricing.ladder import Ladder

LIST_PRICE_MINOR = 10_000


class Offer(NamedTuple):
    """A ladder with the headcount bounds it was parsed under."""

    ladder: Ladder
    min_headcount: int
    max_headcount: int


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    """Draws a ladder of up to eight steps with bounds that allow it."""
    count = draw(st.integers(1, 8))
    headcounts = sorted(draw(st.sets(st.integers(1, 40), min_size=count, max_size=count)))
    prices = sorted(
        draw(st.sets(st.integers(1, LIST_PRICE_MINOR - 1), min_size=count, max_size=count)), reverse=True
    )
    min_headcount = draw(st.integers(headcounts[0], 45))
    max_headcount = draw(st.integers(max(min_headcount, headcounts[-1]), 60))
    ladder = Ladder.parse(
        list(zip(headcounts, prices, strict=True)),
        min_headcount=min_headcount,
        max_headcount=max_headcount,
        list_price_minor=LIST_PRICE_MINOR,
    )
    return Offer(ladder, min_headcount, max_headcount)
